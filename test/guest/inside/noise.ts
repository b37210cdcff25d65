// Random data by the megabyte: Random makes them word by word, which takes a second for each where every instruction is
// emulated.

import { createCipheriv } from 'node:crypto';
import type { Random } from '../../fixtures/random.ts';

export function noise(random: Random, length: number): Buffer {
  return createCipheriv('aes-256-ctr', random.bytes(32), random.bytes(16)).update(Buffer.alloc(length));
}
