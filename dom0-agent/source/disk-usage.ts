import type { BigIntStats } from 'node:fs';

/** Bytes that a file takes up on its disk. */
export function occupiedBytes({ blocks }: BigIntStats): number {
  return Number(blocks) * 512;
}
