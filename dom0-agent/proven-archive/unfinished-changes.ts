/**
 * What the catalogue says already and the rest may not follow yet: volumes that were deleted, renamed, or whose tags
 * changed what is protected. Noted before the catalogue is put, and struck out when all of it is done, so that whoever
 * comes next knows what to look at again. The note says where to look, never what to do: that is the catalogue's to
 * say.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { isId, type VolumeId } from '../../shared/archive/names.ts';
import { removeDurably, writeDurably } from '../../shared/durable.ts';
import { systemCode } from '../../shared/errors.ts';
import type { ArchiveState } from './archive-state.ts';

const change = z.strictObject({
  volume: z.custom<VolumeId>((value) => typeof value === 'string' && isId(value), 'not an id'),
  /** The name by which dom0's own state may still know it. */
  was: z.string().optional(),
});
export type Change = z.infer<typeof change>;

/** `all`: the note cannot be read, so everything has to be looked at. */
export type Changes = readonly Change[] | 'all';

function fileOf({ folder }: ArchiveState): string {
  return join(folder, 'unfinished-changes');
}

export function hasUnfinishedChanges(state: ArchiveState): boolean {
  return existsSync(fileOf(state));
}

export function unfinishedChanges(state: ArchiveState): Changes {
  try {
    return z.array(change).parse(JSON.parse(readFileSync(fileOf(state), 'utf8')));
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? [] : 'all';
  }
}

/** Adds to what is noted. Durable when it returns. */
export function noteChanges(state: ArchiveState, changes: readonly Change[]): void {
  const before = unfinishedChanges(state);
  if (before === 'all' || changes.length === 0) return;
  const noted = new Set(before.map((each) => JSON.stringify(each)));
  const more = changes.filter((each) => !noted.has(JSON.stringify(each)));
  writeDurably(fileOf(state), `${JSON.stringify([...before, ...more])}\n`);
}

/** These are done. What a command before could not finish stays. */
export function strikeOutChanges(state: ArchiveState, done: Changes): void {
  const before = unfinishedChanges(state);
  if (before === 'all' && done !== 'all') return;
  const struck = done === 'all' ? undefined : new Set(done.map((each) => JSON.stringify(each)));
  const left = before === 'all' ? [] : before.filter((each) => struck?.has(JSON.stringify(each)) === false);
  if (left.length > 0) writeDurably(fileOf(state), `${JSON.stringify(left)}\n`);
  else if (hasUnfinishedChanges(state)) removeDurably(fileOf(state));
}
