/**
 * A receiver as a child process with three pipes of its own (qrexec-client sets O_NONBLOCK on whatever it inherits).
 */
import type { ChildProcess } from 'node:child_process';
import type { Writable, Readable } from 'node:stream';
import { freeBytes } from '../content/bytes.ts';
import { lastWords } from './last-words.ts';
import type { Link, LinkEnd } from '../link/link.ts';

export interface ProcessLinkOptions {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly explain: (end: LinkEnd) => { message: string; hint: string };
  /** It starts processes that must end with it: all get a process group of their own. */
  readonly ownGroup?: boolean;
}

/** Characters: more than what Node says of a crash. */
const STDERR_KEPT = 8000;

/** Milliseconds for what is still in the pipes when the process has ended. */
const LAST_OUTPUT = 2000;

/** Milliseconds for the process to end by itself once all was said. */
const LEAVING = 1000;

/** Bytes given to the system at a time: how a slow link is told from one that takes nothing at all. */
const PIECE = 64 * 1024;

/** Starts the process. A program that cannot be started shows in `ended`. */
export async function openProcessLink(options: ProcessLinkOptions): Promise<Link> {
  const { execa } = await import('execa');
  const child = execa(options.file, options.args, {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    buffer: false,
    reject: false,
    // SIGTERM must not race with our own orderly end: main.ts decides what a signal does.
    cleanup: true,
    forceKillAfterDelay: 2000,
    detached: options.ownGroup === true,
    ...(options.env === undefined ? {} : { env: { ...options.env } }),
  });
  const stdin: Writable = child.stdin;
  const stdout: Readable = child.stdout;
  let stderr = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  // A broken pipe is reported by the process's end, with its reason; here it would only be EPIPE.
  stdin.on('error', () => undefined);
  stdout.on('error', () => undefined);

  let last = Promise.resolve();
  let waiting = 0;
  let taken = 0;
  const writePiece = (piece: Uint8Array): Promise<void> =>
    new Promise((resolve) => {
      if (stdin.destroyed || stdin.writableEnded) {
        resolve();
        return;
      }
      stdin.write(piece, (error) => {
        if (error === null || error === undefined) taken += piece.length;
        resolve();
      });
    });
  const writeNow = async (bytes: Uint8Array): Promise<void> => {
    for (let from = 0; from < bytes.length; from += PIECE) await writePiece(bytes.subarray(from, from + PIECE));
    waiting--;
  };

  const kill = (): void => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    if (options.ownGroup === true) process.kill(-child.pid, 'SIGTERM');
    else child.kill('SIGTERM');
  };
  // A process that it left behind (ssh's shared connection, say) may hold the pipes open for as long as it likes.
  child.once('exit', () => {
    setTimeout(() => {
      stdout.destroy();
      child.stderr.destroy();
    }, LAST_OUTPUT).unref();
  });
  const ended = child.then((result): LinkEnd => {
    const failed: unknown = result.exitCode === undefined && result.signal === undefined ? result.cause : undefined;
    return {
      status: result.exitCode ?? null,
      signal: result.signal ?? null,
      stderr: lastWords(stderr),
      ...(failed === undefined ? {} : { startError: failed }),
    };
  });

  return {
    name: options.name,
    write: (bytes) => {
      waiting++;
      last = last.then(() => writeNow(bytes));
      return last;
    },
    get writing() {
      return waiting > 0;
    },
    get taken() {
      return taken;
    },
    start: (onData) => {
      stdout.on('data', (bytes: Uint8Array) => {
        onData(bytes);
        freeBytes(bytes);
      });
    },
    leave: async () => {
      stdin.end();
      await exitOf(child, LEAVING);
      stdout.destroy();
      child.stderr.destroy();
      kill();
    },
    destroy: () => {
      stdin.destroy();
      kill();
    },
    ended,
    explain: options.explain,
  };
}

/**
 * Waits for a process to exit, so many milliseconds at most. Its exit, not the end of its output: in a backup VM, a job
 * of somebody's profile may keep that open for ever.
 */
async function exitOf(child: Pick<ChildProcess, 'exitCode' | 'signalCode' | 'once'>, limit: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, limit);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
