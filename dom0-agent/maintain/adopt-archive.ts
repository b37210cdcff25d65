/**
 * This dom0 becomes the one writer: the newest authentic heads are added to the catalogue, and every unfinished send is
 * discarded. The previous writer may only read from then on.
 */
import { randomBytes } from 'node:crypto';
import type { PairingId, SessionName, VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { newestMissing } from '../proven-archive/find-session.ts';
import { newestHead } from '../proven-archive/newest-head.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import type { ProvenSession, StoredSession } from '../proven-archive/proven-reader.ts';
import { changeCatalogue } from './reconcile.ts';
import type { Writer } from './writer.ts';

export interface Adopted {
  readonly name: string;
  /** The newest session that the catalogue did not list. */
  readonly session: SessionName;
  /** Whether the catalogue did not list the volume at all. */
  readonly isNew: boolean;
}

/** @throws `rollback` if a session that the catalogue lists is missing, unless that was accepted */
export async function adoptArchive(writer: Writer): Promise<readonly Adopted[]> {
  const { open, state } = writer;
  const { catalogue } = open.pin.known;
  const before = await open.reader.volumes();
  const known = catalogue.volumes.filter((entry) => entry.state === 'active');
  // Before anything is changed, and with a hint.
  for (const entry of known) {
    if (before.get(entry.id)?.some(({ session }) => session === entry.session) === true) await newestHead(open, entry);
  }
  const ids = new Set([...before.keys(), ...known.map(({ id }) => id)]);
  for (const id of ids) await discardUnfinished(open, id);
  // The previous writer may have committed a send in the meantime.
  const stored = await open.reader.volumes();
  const adopted: Adopted[] = [];
  const volumes: CatalogueVolume[] = [];
  let sequence = catalogue.sequence;
  for (const entry of catalogue.volumes) {
    const newest = entry.state === 'deleted' ? undefined : await newestOf(open, entry, stored.get(entry.id) ?? []);
    sequence = Math.max(sequence, newest?.head.sequence ?? 0);
    volumes.push(newest === undefined ? entry : listing(entry, newest));
    if (newest !== undefined && newest.head.session !== entry.session) {
      adopted.push({ name: entry.name, session: newest.head.session, isNew: false });
    }
  }
  for (const [id, sessions] of stored) {
    const last = sessions.at(-1);
    if (last === undefined || catalogue.volumes.some((entry) => entry.id === id)) continue;
    const newest = await open.reader.head(id, last.session);
    sequence = Math.max(sequence, newest.head.sequence);
    const name = freeName(newest.head.name, volumes);
    volumes.push(listing({ id, name, state: 'active', session: null, head: null, tags: {} }, newest));
    adopted.push({ name, session: last.session, isNew: true });
  }
  state.burnSequence(sequence);
  await changeCatalogue(
    writer,
    volumes,
    volumes.map(({ id }) => ({ volume: id })),
  );
  return adopted;
}

/** Resolving a pairing id that no send has discards all of them. */
async function discardUnfinished({ client }: OpenArchive, volume: VolumeId): Promise<void> {
  const pairing = randomBytes(16).toString('hex') as PairingId;
  await client.request({ t: 'resolve', volume, pairing, resume: false });
}

/** The newest session in the archive: the one that the catalogue lists or a later one. */
async function newestOf(
  open: OpenArchive,
  entry: CatalogueVolume,
  sessions: readonly StoredSession[],
): Promise<ProvenSession | undefined> {
  const last = sessions.at(-1);
  const listed = sessions.some(({ session }) => session === entry.session);
  if (entry.session !== null && !listed && !open.acceptRollback) {
    throw newestMissing(
      entry.name,
      entry.session,
      sessions.map(({ session }) => session),
    );
  }
  if (last === undefined) return undefined;
  if (last.session === entry.session) return await open.reader.head(entry.id, last.session, entry.head ?? undefined);
  if (entry.session !== null && listed) await open.reader.head(entry.id, entry.session, entry.head ?? undefined);
  return await open.reader.head(entry.id, last.session);
}

function listing(entry: CatalogueVolume, { head, headHash }: ProvenSession): CatalogueVolume {
  return { ...entry, session: head.session, head: headHash };
}

function freeName(name: string, volumes: readonly CatalogueVolume[]): string {
  const isTaken = (each: string) => volumes.some((entry) => entry.state === 'active' && entry.name === each);
  for (let number = 1; number <= volumes.length + 1; number++) {
    const candidate = number === 1 ? name : `${name} (${number})`;
    if (!isTaken(candidate)) return candidate;
  }
  throw new SparsebakError('failed', `there is no free name for another ${name}`);
}
