/**
 * The one place of `source/` where programs are started. Each runs without a shell, without input, in the C locale,
 * with bounded output, and counts only if it ends with exit code 0.
 *
 * Files are passed as descriptors (3, 4, …; `/proc/self/fd/3` in the arguments): then names with a newline or a leading
 * dash, or files replaced meanwhile, cause no harm.
 */
import { SparsebakError, systemCode } from '../../shared/errors.ts';

/** The most that a program may output, in bytes. */
const MAX_OUTPUT = 1024 * 1024;
const MAX_COMPLAINT = 64 * 1024;
/** Lines of listings are shorter than 300 bytes. */
const MAX_LINE = 4096;
const MAX_SECONDS = 60;

/** When started by a timer or through qrexec, PATH may lack the folders of filefrag and lvm. */
const MORE_PATH = '/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin';

function environment(): NodeJS.ProcessEnv {
  const path = process.env.PATH;
  return { ...process.env, LC_ALL: 'C', PATH: path === undefined ? MORE_PATH : `${path}:${MORE_PATH}` };
}

export interface RunOptions {
  /** The most bytes that it may output. */
  readonly maxOutput?: number;
  /** Seconds after which it is asked to end. */
  readonly seconds?: number;
  /** It is never killed: its changes would stay incomplete. */
  readonly mayFinish?: boolean;
}

/** The standard output of a program that must succeed. */
export async function runProgram(
  program: string,
  args: readonly string[],
  { maxOutput = MAX_OUTPUT, seconds = MAX_SECONDS, mayFinish = false }: RunOptions = {},
): Promise<string> {
  const { execa } = await import('execa');
  try {
    const { stdout } = await execa(program, args, {
      env: environment(),
      extendEnv: false,
      stdin: 'ignore',
      timeout: seconds * 1000,
      ...(mayFinish ? { forceKillAfterDelay: false, cleanup: false } : {}),
      maxBuffer: maxOutput,
    });
    return stdout;
  } catch (error) {
    throw failure(program, error);
  }
}

/**
 * Runs a program whose output may be long, and passes it on in pieces as they arrive. `onText` may throw, which ends
 * the program.
 * @param files descriptors that the program finds as 3, 4, …
 * @param silence milliseconds without output after which it is killed
 */
export async function readOutput(
  program: string,
  args: readonly string[],
  files: readonly number[],
  silence: number,
  onText: (text: string) => void,
): Promise<void> {
  const { execa } = await import('execa');
  const child = execa(program, args, {
    env: environment(),
    extendEnv: false,
    // Any descriptor will do; execa's types stop at 9.
    stdio: ['ignore', 'pipe', 'pipe', ...(files as readonly 3[])],
    buffer: { stdout: false, stderr: true },
    maxBuffer: { stderr: MAX_COMPLAINT },
  });
  let refusal: unknown;
  const refuse = (reason: unknown): void => {
    refusal ??= reason;
    child.kill('SIGKILL');
    // Processes that it started may hold the pipes open for ever.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const clock = setTimeout(() => {
    refuse(new SparsebakError('source', `${program} gave no output for ${String(silence / 1000)} seconds`));
  }, silence);
  child.stdout.setEncoding('latin1');
  child.stdout.on('data', (text: string) => {
    clock.refresh();
    if (refusal !== undefined) return;
    try {
      onText(text);
    } catch (error) {
      refuse(error);
    }
  });
  try {
    await child;
  } catch (error) {
    refusal ??= failure(program, error);
  } finally {
    clearTimeout(clock);
  }
  if (refusal !== undefined) throw refusal instanceof Error ? refusal : new Error('not an error', { cause: refusal });
}

/** The same by lines; the last line must be complete. */
export async function readLines(
  program: string,
  args: readonly string[],
  files: readonly number[],
  silence: number,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = '';
  await readOutput(program, args, files, silence, (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(onLine);
    if (rest.length > MAX_LINE) throw new SparsebakError('source', `${program} wrote an endless line`);
  });
  if (rest !== '') throw new SparsebakError('source', `${program} ended within a line`);
}

function failure(program: string, error: unknown): SparsebakError {
  if (systemCode(error) === 'ENOENT') {
    return new SparsebakError('source', `there is no ${program} in the PATH, nor in the usual folders`, {
      cause: error,
      hint: 'Install it; docs/install-linux.md lists the required programs.',
    });
  }
  const { shortMessage, stderr } = error as { shortMessage?: unknown; stderr?: unknown };
  const what = typeof shortMessage === 'string' ? shortMessage : error instanceof Error ? error.message : String(error);
  const said = typeof stderr === 'string' ? stderr.split('\n').map((line) => line.trim()) : [];
  const complaint = said.find((line) => line !== '' && !line.startsWith('WARNING:')) ?? '';
  return new SparsebakError('source', complaint === '' ? what : `${what}: ${complaint}`, {
    cause: error,
    hint: `Run ${program} by hand to see what is wrong.`,
  });
}
