/** Runs a command of the user's: a hook, a notifier. What it prints is kept for the error if it fails. */
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';

/** The most that is kept of what a command prints, in characters. */
const MAX_OUTPUT = 64 * 1024;
/** Milliseconds for reading the rest of its output after it has ended. */
const AFTER_EXIT = 200;

const REASONS: Readonly<Record<string, (program: string) => string>> = {
  ENOENT: (program) => `there is no ${program}, or not the interpreter that its first line names`,
  EACCES: (program) => `${program} is not executable for this user`,
};

/** Of what it printed last, in an error. */
const MAX_SAID = 500;

export interface UserCommand {
  /** In errors, for example "the hook before_send". */
  readonly name: string;
  /** The program and its arguments; no shell is involved. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Given on standard input. */
  readonly input?: string;
  /** Milliseconds after which it is ended, with the processes that it started. */
  readonly limit: number;
  readonly signal?: AbortSignal;
  /** Run as this user instead, without this process's environment: it may hold secrets. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** @returns what it printed @throws `failed` if it cannot be started, fails or takes too long */
export async function runCommand(what: UserCommand): Promise<string> {
  const { name, command, env, input = '', limit, signal, user } = what;
  const [program = '', ...args] = command;
  if (signal?.aborted === true) throw new SparsebakError('interrupted', 'interrupted');
  const { spawn } = await import('node:child_process');
  return await new Promise<string>((resolve, reject) => {
    // A process group of its own, so that nothing that it started outlives its time.
    const inherited = user === undefined ? process.env : { PATH: process.env.PATH };
    const child = spawn(program, args, { env: { ...inherited, ...env }, detached: true, stdio: 'pipe', ...user });
    let text = '';
    let isLate = false;
    // The end: that is where a command says why it fails.
    const keep = (piece: string) => {
      text = `${text}${piece}`.slice(-MAX_OUTPUT);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    const end = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    };
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, limit);
    signal?.addEventListener('abort', end, { once: true });
    const over = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
    };
    child.on('error', (error) => {
      over();
      const why = REASONS[systemCode(error) ?? '']?.(program) ?? error.message;
      reject(failed(`${name} could not be started: ${why}`, error));
    });
    child.on('exit', () => {
      // Processes that it left in the background would keep the pipes open.
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, AFTER_EXIT);
    });
    child.on('close', (code, killed) => {
      over();
      if (code === 0) {
        resolve(text.trim());
        return;
      }
      const how = isLate
        ? `did not end within ${limit / 1000} s`
        : code === null
          ? `was ended by ${killed ?? 'a signal'}`
          : `ended with exit status ${code}`;
      const said = escapeText(text.trim().split('\n').at(-1) ?? '', MAX_SAID);
      reject(failed(`${name} ${how}${said === '' ? '' : `: ${said}`}`));
    });
  });
}

function failed(message: string, cause?: unknown): SparsebakError {
  return new SparsebakError('failed', message, {
    hint: 'Run the command by hand to see what is wrong, or correct it in the configuration.',
    ...(cause === undefined ? {} : { cause }),
  });
}
