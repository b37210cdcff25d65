/**
 * Changes that are in the catalogue and may not be carried out yet: volumes that were deleted or renamed, or whose tags
 * changed what is protected. Noted before the catalogue is put, and removed when everything is done, so that the next
 * command knows what to check again. The note says where to look, never what to do: the catalogue says that.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isId, type VolumeId } from '../../shared/archive/names.ts';
import { removeDurably, writeDurably } from '../../shared/durable.ts';
import { systemCode } from '../../shared/errors.ts';
import * as z from '../../shared/zod.ts';
import type { ArchiveState } from './archive-state.ts';

const change = z.strictObject({
  volume: z.custom<VolumeId>((value) => typeof value === 'string' && isId(value), 'not an id'),
  /** The old name, under which dom0's own state may still have it. */
  was: z.optional(z.string()),
});
export type Change = z.infer<typeof change>;

/** `all`: the note cannot be read, so everything has to be checked. */
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

/** Adds changes to the note. Durable when it returns. */
export function noteChanges(state: ArchiveState, changes: readonly Change[]): void {
  const before = unfinishedChanges(state);
  if (before === 'all' || changes.length === 0) return;
  const noted = new Set(before.map((each) => JSON.stringify(each)));
  const more = changes.filter((each) => !noted.has(JSON.stringify(each)));
  writeDurably(fileOf(state), `${JSON.stringify([...before, ...more])}\n`);
}

/** Removes changes that are done. Those that an earlier command could not finish stay. */
export function strikeOutChanges(state: ArchiveState, done: Changes): void {
  const before = unfinishedChanges(state);
  if (before === 'all' && done !== 'all') return;
  const struck = done === 'all' ? undefined : new Set(done.map((each) => JSON.stringify(each)));
  const left = before === 'all' ? [] : before.filter((each) => struck?.has(JSON.stringify(each)) === false);
  if (left.length > 0) writeDurably(fileOf(state), `${JSON.stringify(left)}\n`);
  else if (hasUnfinishedChanges(state)) removeDurably(fileOf(state));
}
