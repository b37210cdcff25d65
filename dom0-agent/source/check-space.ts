/** Checks that a restore fits, before hours of work show that it does not. */
import { statfsSync } from 'node:fs';
import { SparsebakError } from '../../shared/errors.ts';
import type { Held } from './held-file.ts';

/** File systems that may store less than is written to them: Btrfs, ZFS, bcachefs. */
const COMPRESSING: ReadonlySet<number> = new Set([0x9123683e, 0x2fc12fc1, 0xca451a4e]);

/**
 * @param path as the user knows it
 * @param size of the volume, in bytes
 * @param bytesIn how many bytes the data take if space is allocated in blocks of that many bytes
 * @throws `target` if it certainly does not fit
 */
export async function checkSpace(
  folder: Held,
  path: string,
  size: number,
  bytesIn: (block: number) => Promise<number>,
): Promise<void> {
  const { type, bsize, bfree, bavail, blocks } = statfsSync(folder.path);
  if (blocks === 0 || COMPRESSING.has(type)) return;
  const free = (process.geteuid?.() === 0 ? bfree : bavail) * bsize;
  if (size <= free) return;
  // Ignored: the restore meets a damaged session as well, and reports it.
  const needed = await bytesIn(bsize).catch(() => 0);
  if (needed <= free) return;
  throw new SparsebakError(
    'target',
    `${path} does not fit: its data take ${needed} bytes, and ${free} are free there`,
    {
      hint: 'Free space there, or choose another target.',
    },
  );
}
