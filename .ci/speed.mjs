// Measures how slow this machine is right now, so that time limits of tests need not fit the slowest machine.

import { createHash, randomBytes } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';

/** Milliseconds for the work below on the idle machine for which the limits were chosen. */
const REFERENCE = 130;
/** A slower machine cannot be distinguished from one that hangs. */
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
