/**
 * A session's file `size`: the volume's size then, decimal, one newline.
 */
import { join } from 'node:path';
import { Refusal } from '../refusal.ts';
import { checksumOf, readChecksums } from './checksums.ts';
import type { Disk } from './disk.ts';
import { SIZE } from './paths.ts';
import { readSmall } from './small-file.ts';

/**
 * Bytes. What is taken away depends on it, so it counts only with its checksum. `name` is the session's, for messages.
 * @throws Refusal `io` when it is damaged
 */
export function readSize(disk: Disk, session: string, name: string): number {
  const bytes = readSmall(disk, join(session, SIZE), `${name}/${SIZE}`, 64);
  if (bytes === undefined || readChecksums(disk, session, name)?.sums.get(SIZE) !== checksumOf(bytes)) {
    throw new Refusal('io', `${name}/${SIZE} is damaged, or its checksum`, {
      hint: 'Run sparsebak-receiver check, and verify in dom0.',
    });
  }
  return Number(Buffer.from(bytes).toString());
}
