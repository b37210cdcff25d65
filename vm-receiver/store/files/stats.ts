/**
 * The receiver's own count of a session, and when it was committed. A file that is missing or damaged counts as nothing, and
 * retention then takes the time that the session's name says.
 */
import { join } from 'node:path';
import * as z from 'zod';
import type { SessionName } from '../../../shared/archive/names.ts';
import type { Disk } from './disk.ts';
import { HEAD, INDEX, STATS } from './paths.ts';
import type { Amount } from './removal.ts';
import { readSmall } from './small-file.ts';

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
/** Milliseconds since 1970, to the end of the year 9999. */
const time = z.number().int().min(0).max(253_402_300_799_999);
const schema = z.object({
  sizeBytes: count,
  files: count,
  storedBytes: count,
  zeros: count,
  /** When the session was committed, by this computer's clock, in milliseconds since 1970. Absent in older archives. */
  committed: time.optional(),
  /** The pruned session whose files were counted last. */
  absorbed: z.string().optional(),
});

export interface Stats {
  readonly sizeBytes: number;
  readonly files: number;
  readonly storedBytes: number;
  readonly zeros: number;
  readonly committed: number | undefined;
}

const NOTHING: Stats = { sizeBytes: 0, files: 0, storedBytes: 0, zeros: 0, committed: undefined };

export function readStats(disk: Disk, session: string, name: string): Stats {
  const found = read(disk, session, name);
  if (found === undefined) return NOTHING;
  const { absorbed: _, ...stats } = found;
  return { ...stats, committed: stats.committed };
}

function read(disk: Disk, session: string, name: string): z.infer<typeof schema> | undefined {
  const bytes = readSmall(disk, join(session, STATS), `${name}/${STATS}`, 4096);
  if (bytes === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(Buffer.from(bytes).toString())).data;
  } catch {
    return undefined;
  }
}

export function describeStats(stats: Stats & { readonly absorbed?: string | undefined }): string {
  return `${JSON.stringify(stats)}\n`;
}

/**
 * Counts for the successor what went over to it from a pruned session: all that the session had, less what of it is `left`
 * behind. Counts it once, however often it is asked to.
 */
export function absorbStats(
  disk: Disk,
  { pruned, successor }: { readonly pruned: string; readonly successor: string },
  session: SessionName,
  left: Amount,
): void {
  const before = read(disk, pruned, session);
  const own = read(disk, successor, session);
  if (before === undefined || own === undefined || own.absorbed === session) return;
  const ofItself = [HEAD, INDEX].reduce((sum, file) => sum + (disk.entryAt(join(pruned, file))?.size ?? 0), 0);
  const stats = {
    sizeBytes: own.sizeBytes,
    files: Math.max(0, own.files + before.files - left.files),
    zeros: Math.max(0, own.zeros + before.zeros - left.zeros),
    storedBytes: Math.max(0, own.storedBytes + before.storedBytes - left.bytes - ofItself),
    committed: own.committed,
    absorbed: session,
  };
  disk.replace(join(successor, STATS), describeStats(stats));
}
