// A volume's life over several sessions, made so that each rule of the overlay decides something.

import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { join } from 'node:path';
import { type Installation } from '../fixtures/installation.ts';
import { type Random } from '../fixtures/random.ts';

export const VOLUME = 'work/private.img';
const CHUNK = 64 * 1024;
/** A range is 1024 chunks. */
const RANGE = 1024 * CHUNK;

export interface Moment {
  readonly what: string;
  readonly session: string;
  readonly size: number;
  readonly sha256: string;
}

interface Step {
  readonly what: string;
  readonly size: number;
  readonly writes: readonly (readonly [address: number, bytes: Buffer])[];
}

function stepsOf(random: Random): readonly Step[] {
  const text = Buffer.from('a line of text that repeats, as most do\n'.repeat(4000)).subarray(0, CHUNK + 100);
  return [
    {
      what: 'a first session with holes and an odd size',
      size: 20 * CHUNK + 12_345,
      writes: [
        [0, random.bytes(3 * CHUNK)],
        [5 * CHUNK + 17, text],
        [20 * CHUNK, random.bytes(12_345)],
      ],
    },
    {
      what: 'grown over two ranges, data far out',
      size: 2 * RANGE + 9 * CHUNK + 1,
      writes: [
        [RANGE - 50, random.bytes(100)],
        [2 * RANGE + 8 * CHUNK, random.bytes(CHUNK + 1)],
      ],
    },
    {
      what: 'zeros over data, part of a chunk changed',
      size: 2 * RANGE + 9 * CHUNK + 1,
      writes: [
        [CHUNK, Buffer.alloc(CHUNK)],
        [5 * CHUNK, Buffer.alloc(3 * CHUNK)],
        [2 * CHUNK + 5, random.bytes(1)],
      ],
    },
    { what: 'shrunk to an odd size', size: 2 * CHUNK + 777, writes: [] },
    {
      what: 'grown again: nothing of the old end may come back',
      size: RANGE + 3 * CHUNK + 5,
      writes: [[RANGE + CHUNK, text]],
    },
    {
      what: 'one byte at the very end',
      size: RANGE + 3 * CHUNK + 5,
      writes: [[RANGE + 3 * CHUNK + 4, random.bytes(1)]],
    },
    { what: 'shrunk to a single byte', size: 1, writes: [] },
    { what: 'grown once more, all of it a hole', size: 30 * CHUNK, writes: [] },
  ];
}

/** Sends a session for each of so many steps; the volume's file is the oracle. */
export async function liveThrough(
  installation: Installation,
  random: Random,
  compression: string,
  steps: number,
): Promise<Moment[]> {
  const path = join(installation.volumes, VOLUME);
  await installation.init('--encryption', 'off', '--chunk-size', '64K', '--compression', compression);
  writeFileSync(path, '');
  const moments: Moment[] = [];
  for (const { what, size, writes } of stepsOf(random).slice(0, steps)) {
    truncateSync(path, size);
    const fd = openSync(path, 'r+');
    for (const [address, bytes] of writes) writeSync(fd, bytes, 0, bytes.length, address);
    closeSync(fd);
    const session = await installation.send();
    moments.push({ what, session, size, sha256: await sha256Of(path) });
  }
  return moments;
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
