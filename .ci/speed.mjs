// How slow this machine is right now, so that no limit of a test has to be made for the slowest one.

import { createHash, randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';

/** Milliseconds of the work below on the machine that the limits were chosen on, when it was idle. */
const REFERENCE = 130;
/** A machine that is slower than this hangs, for all that a test can tell. */
const SLOWEST = 30;

/**
 * Hashing and compressing, as the programs do it. @returns {number} 1 for a machine like the reference or faster, 3 for
 * a third of its speed
 */
export function measureSlowness() {
  const began = performance.now();
  const block = Buffer.concat([randomBytes(512 * 1024), Buffer.alloc(512 * 1024, 'sparsebak ')]);
  for (let round = 0; round < 8; round++) {
    createHash('blake2b512').update(block).digest();
    deflateRawSync(block, { level: 1 });
  }
  return Math.min(SLOWEST, Math.max(1, (performance.now() - began) / REFERENCE));
}
