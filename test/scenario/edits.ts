// What happens to a volume between two looks, at random.

import { closeSync, openSync, renameSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import type { Random } from '../fixtures/random.ts';

export function writeAt(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'r+');
  for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  closeSync(fd);
}

export function fallocate(...args: string[]): void {
  const { status, stderr } = spawnSync('fallocate', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`fallocate ${args.join(' ')}: ${stderr}`);
}

/** One edit of a file that stays below `largest` bytes; says what it was. */
export function editAtRandom(path: string, random: Random, largest: number): string {
  const { size } = statSync(path);
  const offset = random.int(largest);
  const length = random.between(1, random.once(2) ? 9000 : 500_000);
  const fits = Math.min(length, largest - offset);
  const edits: Record<string, () => void> = {
    write: () => writeAt(path, offset, random.bytes(fits)),
    'write text': () => writeAt(path, offset, Buffer.alloc(fits, 'compressible ')),
    'write zeros': () => writeAt(path, offset, Buffer.alloc(fits)),
    'punch a hole': () => fallocate('--punch-hole', '--offset', String(offset), '--length', String(length), path),
    preallocate: () => fallocate('--offset', String(offset), '--length', String(fits), path),
    shrink: () => truncateSync(path, random.int(size + 1)),
    grow: () => truncateSync(path, size + random.int(Math.max(1, largest - size))),
    'shrink, then grow': () => {
      truncateSync(path, random.int(size + 1));
      truncateSync(path, size);
    },
    'cut to nothing, then grow and write': () => {
      truncateSync(path, 0);
      truncateSync(path, size);
      if (size > 0) writeAt(path, random.int(size), random.bytes(1));
    },
    'replace by another file of its name': () => {
      writeFileSync(`${path}~new`, random.bytes(random.int(1_000_000)));
      truncateSync(`${path}~new`, size);
      renameSync(`${path}~new`, path);
    },
    'delete and make again': () => {
      rmSync(path);
      writeFileSync(path, random.bytes(random.int(300_000)));
    },
    'many small writes': () => {
      for (let i = 0; i < 20; i++) writeAt(path, random.int(largest - 1000), random.bytes(random.between(1, 700)));
    },
  };
  const [what, edit] = random.pick(Object.entries(edits));
  edit();
  return what;
}
