/**
 * A receiver as a child process with three pipes of its own (qrexec-client sets O_NONBLOCK on whatever it inherits).
 */
import type { ChildProcess } from 'node:child_process';
import type { Writable, Readable } from 'node:stream';
import { freeBytes } from '../content/bytes.ts';
import { lastWords } from './receiver-stderr.ts';
import type { Link, LinkEnd } from '../link/link.ts';

export interface ProcessLinkOptions {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly explain: (end: LinkEnd) => { message: string; hint: string };
  /** It starts further processes that must end with it, so it gets its own process group. */
  readonly ownGroup?: boolean;
}

/** Characters kept: more than Node prints for a crash. */
const STDERR_KEPT = 8000;

/** Milliseconds to read what is still in the pipes when the process has ended. */
const LAST_OUTPUT = 2000;

/** Milliseconds for the process to end by itself after the conversation. */
const LEAVING = 1000;

/** Bytes written at a time: small enough to distinguish a slow link from one that accepts nothing at all. */
const PIECE = 64 * 1024;

/** Starts the process. If the program cannot be started, `ended` says so. */
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
  // Ignored here, where it would only be EPIPE: the end of the process reports a broken pipe with its reason.
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
  // A process that it left behind (for example ssh's shared connection) may hold the pipes open indefinitely.
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
 * Waits at most `milliseconds` for a process to exit. It waits for the exit, not for the end of the output: in a backup
 * VM, a job started by a user's profile may keep that open for ever.
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
