/** Runs the user's own command for a passphrase (for example a password manager) and returns its output. */
import { SparsebakError } from '../../shared/errors.ts';

/** Longer than any passphrase. */
const MAX_OUTPUT = 64 * 1024;

/** @param command is the user's own, run by sh @throws `usage` when it fails */
export async function passphraseFrom(command: string): Promise<Buffer> {
  const { execa } = await import('execa');
  const result = await execa('sh', ['-c', command], {
    encoding: 'buffer',
    stdin: 'inherit',
    stderr: 'inherit',
    maxBuffer: MAX_OUTPUT,
    reject: false,
    stripFinalNewline: false,
  });
  if (result.failed) {
    throw new SparsebakError(
      'usage',
      `the passphrase command failed (exit status ${String(result.exitCode ?? result.signal)})`,
      {
        hint: 'Run it by hand to see why.',
      },
    );
  }
  return Buffer.from(result.stdout);
}
