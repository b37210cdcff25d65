/**
 * The receiver's own count of a session, and when it was committed. No restore depends on it: if it is missing or
 * damaged, the volume's size comes from its own file, retention uses the time in the session's name, everything else
 * counts as 0, and the next scrub counts again.
 */
import { join } from 'node:path';
import type { SessionName } from '../../../../shared/archive/names.ts';
import * as z from '../../../../shared/zod.ts';
import type { Disk } from '../disk/disk.ts';
import { readOwn, writeOwn } from '../disk/own-file.ts';
import { HEAD, INDEX, STATS } from './paths.ts';
import { amountIn, type Amount } from './session-amount.ts';

const count = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
/** Milliseconds since 1970, to the end of the year 9999. */
const time = z.int().check(z.minimum(0), z.maximum(253_402_300_799_999));
const schema = z.object({
  sizeBytes: count,
  files: count,
  storedBytes: count,
  zeros: count,
  /** When the session was committed, by this computer's clock, in milliseconds since 1970. Absent in older archives. */
  committed: z.optional(time),
  /** The pruned session whose files were counted last. */
  absorbed: z.optional(z.string()),
  /** It lacks what was moved from a pruned session, since the amount was not known. */
  stale: z.optional(z.boolean()),
});

type Counted = z.infer<typeof schema>;

export interface Stats {
  readonly sizeBytes: number;
  readonly files: number;
  readonly storedBytes: number;
  readonly zeros: number;
  readonly committed: number | undefined;
}

/** Undefined if it is missing or invalid. */
export function readStats(disk: Disk, session: string): Stats | undefined {
  const counted = read(disk, session);
  if (counted === undefined) return undefined;
  const { absorbed: _, stale: __, committed, ...stats } = counted;
  return { ...stats, committed };
}

function read(disk: Disk, session: string): Counted | undefined {
  const bytes = readOwn(disk, join(session, STATS), 4096);
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
 * Adds to the successor's count what was moved to it from a pruned session: the session's own count, less what is
 * `left`. Adds it only once, however often it is called.
 */
export function absorbStats(
  disk: Disk,
  { pruned, successor }: { readonly pruned: string; readonly successor: string },
  session: SessionName,
  left: Amount,
): void {
  const before = read(disk, pruned);
  const own = read(disk, successor);
  if (own === undefined || own.absorbed === session) return;
  if (before === undefined || before.stale === true) {
    writeOwn(disk, join(successor, STATS), `${JSON.stringify({ ...own, absorbed: session, stale: true })}\n`);
    return;
  }
  const stats: Counted = {
    ...own,
    files: Math.max(0, own.files + before.files - left.files),
    zeros: Math.max(0, own.zeros + before.zeros - left.zeros),
    storedBytes: Math.max(0, own.storedBytes + before.storedBytes - left.bytes - ofItself(disk, pruned)),
    absorbed: session,
  };
  writeOwn(disk, join(successor, STATS), `${JSON.stringify(stats)}\n`);
}

/** Counts a session again if its count is lost or wrong. `sizeBytes`: of the volume. */
export async function recountStats(disk: Disk, session: string, sizeBytes: number): Promise<void> {
  const known = read(disk, session);
  if (known !== undefined && known.stale !== true) return;
  const { files, zeros, bytes } = await amountIn(disk, session);
  const { stale: _, ...kept } = known ?? {};
  const stats: Counted = { ...kept, sizeBytes, files, zeros, storedBytes: bytes + ofItself(disk, session) };
  writeOwn(disk, join(session, STATS), `${JSON.stringify(stats)}\n`);
}

/** Bytes of head and index. */
function ofItself(disk: Disk, session: string): number {
  return [HEAD, INDEX].reduce((sum, file) => sum + (disk.entryAt(join(session, file))?.size ?? 0), 0);
}
