/**
 * Packs a folder into one file with GNU tar: the same content gives the same bytes, in an order that depends on names
 * alone. Owners are numbers, and holes stay holes; sockets are left out, since nothing could be restored of them.
 */
import { rmSync } from 'node:fs';
import { relative } from 'node:path';
import { SparsebakError, systemCode } from '../../shared/errors.ts';
import { runProgram } from './run-program.ts';

/** tar's exit status when files changed or vanished while it read them. The rest is complete. */
const CHANGED = 1;

const DETERMINISTIC = [
  '--sort=name',
  '--format=posix',
  // Without these, extended headers have the process's number and the time of the last reading.
  '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
  // Later versions of this format have the process's number in it.
  '--sparse-version=0.0',
  '--numeric-owner',
];

/**
 * @param folder absolute
 * @param to a new file, absolute
 * @param leftOut absolute paths that are not packed
 * @returns what changed meanwhile, each as tar says it
 * @throws `source`, and then `to` does not exist
 */
export async function packFolder(folder: string, to: string, leftOut: readonly string[]): Promise<string[]> {
  const { execa } = await import('execa');
  // Blocks that are not allocated yet would look like holes, and give other bytes later.
  await runProgram('sync', ['--file-system', folder]);
  const excludes = leftOut.map((path) => relative('/', path)).filter((path) => path !== '');
  const args = [
    ...['--create', `--file=${to}`, '--directory=/', ...DETERMINISTIC, '--sparse', '--one-file-system'],
    ...['--anchored', '--no-wildcards', ...excludes.map((path) => `--exclude=${path}`), '--', relative('/', folder)],
  ];
  const { exitCode, failed, cause, stderr } = await execa('tar', args, {
    env: { ...process.env, LC_ALL: 'C' },
    extendEnv: false,
    stdin: 'ignore',
    stdout: 'ignore',
    maxBuffer: 1024 * 1024,
    reject: false,
  });
  const lines = stderr.split('\n').map((line) => line.replace(/^tar: /, ''));
  if (!failed) return [];
  if (exitCode === CHANGED) return lines.filter((line) => /changed as we read it|removed before/.test(line));
  rmSync(to, { force: true });
  const missing = systemCode(cause) === 'ENOENT';
  const why = missing
    ? 'there is no tar'
    : (lines.find((line) => line !== '' && !line.includes('socket ignored')) ?? 'tar failed');
  throw new SparsebakError('source', `${folder} cannot be read: ${why}`, {
    hint: missing
      ? 'Install tar.'
      : 'See whether there is room in the state folder, and whether the files can be read.',
  });
}
