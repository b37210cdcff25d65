/** Starts the backup VM, since qrexec-client does not start qubes. */
import { SparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';

/** Seconds: a starting qube may have to wait for another one, or for its disk's check. */
const START_SECONDS = 300;

/** @throws `unreachable`, `interrupted` */
export async function startQube(vm: string, signal: AbortSignal): Promise<void> {
  const { execa } = await import('execa');
  const started = await execa('qvm-start', ['--skip-if-running', vm], {
    stdin: 'ignore',
    stdout: 'ignore',
    maxBuffer: 64 * 1024,
    timeout: START_SECONDS * 1000,
    cancelSignal: signal,
    reject: false,
  });
  if (!started.failed) return;
  if (signal.aborted) throw new SparsebakError('interrupted', 'interrupted');
  if (started.code === 'ENOENT') {
    const { message, hint } = notInDom0('qvm-start');
    throw new SparsebakError('unreachable', `qubes://${vm}: ${message}`, { hint, cause: started.cause });
  }
  const said = escapeText(started.stderr.trim().split('\n').at(-1) ?? '', 500);
  const why = started.timedOut
    ? `it took more than ${START_SECONDS} s`
    : said || `exit status ${String(started.exitCode)}`;
  throw new SparsebakError('unreachable', `qubes://${vm}: the qube could not be started: ${why}`, {
    hint: `See "qvm-ls ${vm}", and start it by hand: "qvm-start ${vm}".`,
  });
}

/** The message and hint for a missing program of Qubes. */
export function notInDom0(program: string): { readonly message: string; readonly hint: string } {
  return {
    message: `there is no ${program} here`,
    hint: 'A "qubes://" destination works only in dom0; elsewhere use "ssh://" or "local:".',
  };
}
