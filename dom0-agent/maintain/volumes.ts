/** Changes to whole volumes and to tags: first a new catalogue, then the changes that it requires. */
import type { SessionName } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { MAX_TAGS, type CatalogueVolume } from '../content/catalogue.ts';
import { listedVolumes, sessionNames } from '../proven-archive/find-session.ts';
import { isProtectedBy } from './protecting-tags.ts';
import { changeCatalogue, type Reconciled } from './reconcile.ts';
import type { Change } from '../proven-archive/unfinished-changes.ts';
import type { Writer } from './writer.ts';

export interface TagRequest {
  readonly volume: string;
  readonly session: SessionName;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

/** @returns the session's tags now. @throws `not-found` for a session that does not exist */
export async function tagSession(
  writer: Writer,
  { volume, session, add, remove }: TagRequest,
): Promise<readonly string[]> {
  const entry = volumeOf(writer, volume);
  const before = entry.tags[session] ?? [];
  const there = entry.session !== null && session <= entry.session;
  // A tag can be removed from a session that no longer exists.
  if (add.length > 0 && (!there || !(await sessionNames(writer.open, entry.id)).includes(session))) {
    throw new SparsebakError('not-found', `volume "${volume}" has no session ${session}`, {
      hint: 'See "sparsebak list".',
    });
  }
  const after = [...new Set([...before, ...add])].filter((tag) => !remove.includes(tag));
  if (after.length > MAX_TAGS) throw new SparsebakError('usage', `a session has at most ${MAX_TAGS} tags`);
  if (after.length === before.length && after.every((tag) => before.includes(tag))) return after;
  const bySession = new Map(Object.entries(entry.tags)).set(session, after);
  if (after.length === 0) bySession.delete(session);
  const tags: CatalogueVolume['tags'] = Object.fromEntries(bySession);
  const told = isProtectedBy(before) !== isProtectedBy(after);
  await replaceEntry(writer, { ...entry, tags }, told ? [{ volume: entry.id }] : []);
  return after;
}

/** @returns why dom0's record of changes, if there is one, was not renamed */
export async function renameEntry(writer: Writer, from: string, to: string): Promise<SparsebakError | undefined> {
  const entry = volumeOf(writer, from);
  if (to === '' || Buffer.byteLength(to) > 4096) throw new SparsebakError('usage', 'a name has 1 to 4096 bytes');
  if (listedVolumes(writer.open, []).some(({ name }) => name === to)) {
    throw new SparsebakError('usage', `the archive already has a volume "${to}"`, {
      hint: 'Choose another name, or delete that volume first.',
    });
  }
  const { stayed } = await replaceEntry(writer, { ...entry, name: to }, [{ volume: entry.id, was: from }]);
  return stayed.get(to);
}

/**
 * A tombstone stays, so that the receiver cannot bring the volume back. @returns bytes freed, as the receiver reports
 */
export async function deleteEntry(writer: Writer, name: string): Promise<number> {
  const entry = volumeOf(writer, name);
  mayBeDeleted(writer.open, entry);
  const tombstone: CatalogueVolume = { ...entry, state: 'deleted', session: null, head: null, tags: {} };
  const { freedBytes } = await replaceEntry(writer, tombstone, [{ volume: entry.id }]);
  return freedBytes;
}

/** @throws `refused` if the receiver would refuse, so that no catalogue contains a change that cannot be carried out */
export function mayBeDeleted({ rules, client }: Writer['open'], { name, tags }: CatalogueVolume): void {
  if (!rules.allowDelete) {
    throw new SparsebakError('refused', `${client.destination} does not allow deleting volumes`, {
      hint: 'Set allow_delete = true in its receiver.toml.',
    });
  }
  const guarded = Object.keys(tags).find((session) => isProtectedBy(tags[session as SessionName]));
  if (guarded === undefined) return;
  throw new SparsebakError('refused', `session ${guarded} of ${name} is protected by a tag`, {
    hint: `Remove the tag first: sparsebak tag ${name} --session ${guarded} --remove TAG.`,
  });
}

function volumeOf({ open }: Writer, name: string): CatalogueVolume {
  // The catalogue may be newer than the opened one, if an earlier command's changes were finished.
  const [entry] = listedVolumes({ ...open, pinned: open.pin.known }, [name]);
  if (entry === undefined) throw new SparsebakError('not-found', `the archive has no volume "${name}"`);
  return entry;
}

async function replaceEntry(writer: Writer, entry: CatalogueVolume, changes: readonly Change[]): Promise<Reconciled> {
  const volumes = writer.open.pin.known.catalogue.volumes.map((each) => (each.id === entry.id ? entry : each));
  return await changeCatalogue(writer, volumes, changes);
}
