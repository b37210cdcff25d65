/**
 * The damage that verify or a read-back found in a volume's newest session, for the next send to resend: the receiver's
 * own checksums may not reveal it. Kept beside the archive's state. It applies to that session only, since the next
 * send replaces what is damaged. An unreadable file counts as empty: the next verify finds the damage again.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isId, isSessionName, type SessionName, type VolumeId } from '../../shared/archive/names.ts';
import { writeDurably } from '../../shared/durable.ts';
import * as z from '../../shared/zod.ts';

const FILE = 'damage.json';

const found = z.strictObject({
  session: z.string().check(z.refine(isSessionName)),
  /** Numbers of ranges. */
  ranges: z.array(z.int().check(z.minimum(0))),
});
const schema = z.strictObject({ v: z.literal(1), volumes: z.record(z.string().check(z.refine(isId)), found) });

type Found = z.infer<typeof found>;

/** @param folder of the archive's state @returns damaged ranges of that session */
export function foundDamage(folder: string, volume: VolumeId, session: SessionName): ReadonlySet<number> {
  const known = read(folder)[volume];
  return new Set(known?.session === session ? known.ranges : []);
}

/** Adds to the session's known damage. If the state cannot be written, the damage was at least reported. */
export function noteDamage(folder: string, volume: VolumeId, session: SessionName, ranges: ReadonlySet<number>): void {
  const all = new Set([...foundDamage(folder, volume, session), ...ranges]);
  change(folder, (volumes) => ({ ...volumes, [volume]: { session, ranges: [...all].sort((a, b) => a - b) } }));
}

/** To be called when all of the volume's newest session was proven. */
export function forgetDamage(folder: string, volume: VolumeId): void {
  if (read(folder)[volume] === undefined) return;
  change(folder, ({ [volume]: _, ...others }) => others);
}

function read(folder: string): Readonly<Record<string, Found>> {
  try {
    return schema.parse(JSON.parse(readFileSync(join(folder, FILE), 'utf8'))).volumes;
  } catch {
    return {};
  }
}

function change(folder: string, edit: (volumes: Readonly<Record<string, Found>>) => Record<string, Found>): void {
  try {
    writeDurably(join(folder, FILE), `${JSON.stringify({ v: 1, volumes: edit(read(folder)) })}\n`);
  } catch {
    // The next verify finds the damage again.
  }
}
