/**
 * A receiver as a child process with three pipes of its own (qrexec-client sets O_NONBLOCK on whatever it inherits).
 */
import type { Writable, Readable } from 'node:stream';
import { escapeText } from '../../shared/text.ts';
import type { Link, LinkEnd } from './link.ts';

export interface ProcessLinkOptions {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly explain: (end: LinkEnd) => { message: string; hint: string };
}

const STDERR_KEPT = 2000;

function lastLines(text: string): string {
  const lines = text.trim().split('\n').slice(-3);
  return lines.map((line) => escapeText(line, 500)).join('; ');
}

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

  const ended = child.then((result): LinkEnd => {
    const failed: unknown = result.exitCode === undefined && result.signal === undefined ? result.cause : undefined;
    return {
      status: result.exitCode ?? null,
      signal: result.signal ?? null,
      stderr: lastLines(stderr),
      ...(failed === undefined ? {} : { startError: failed }),
    };
  });

  return {
    name: options.name,
    write: (bytes) =>
      new Promise((resolve) => {
        if (stdin.destroyed || stdin.writableEnded) {
          resolve();
          return;
        }
        stdin.write(bytes, () => {
          resolve();
        });
      }),
    start: (onData) => {
      stdout.on('data', onData);
    },
    end: () => {
      stdin.end();
    },
    destroy: () => {
      stdin.destroy();
      child.kill('SIGTERM');
    },
    ended,
    explain: options.explain,
  };
}
