/**
 * The receiver's own count of a session. Nothing depends on it: a file that is missing or damaged counts as nothing.
 */
import { join } from 'node:path';
import * as z from 'zod';
import type { Disk } from './disk.ts';
import { STATS } from './paths.ts';
import { readSmall } from './small-file.ts';

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const schema = z.object({ sizeBytes: count, files: count, storedBytes: count, zeros: count });

export interface Stats {
  readonly sizeBytes: number;
  readonly files: number;
  readonly storedBytes: number;
  readonly zeros: number;
}

const NOTHING: Stats = { sizeBytes: 0, files: 0, storedBytes: 0, zeros: 0 };

export function readStats(disk: Disk, session: string, name: string): Stats {
  const bytes = readSmall(disk, join(session, STATS), `${name}/${STATS}`, 4096);
  if (bytes === undefined) return NOTHING;
  try {
    return schema.safeParse(JSON.parse(Buffer.from(bytes).toString())).data ?? NOTHING;
  } catch {
    return NOTHING;
  }
}
