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
import type { Listing, ProvenSession, StoredSession } from '../proven-archive/proven-reader.ts';
import { changeCatalogue } from './reconcile.ts';
import type { Writer } from './writer.ts';

export interface Adopted {
  readonly name: string;
  /** The newest session that the catalogue did not list. */
  readonly session: SessionName;
  /** Whether the catalogue did not list the volume at all. */
  readonly isNew: boolean;
}

/**
 * Changes nothing if it throws `rollback` or `integrity`.
 * @throws `rollback` if a session that the catalogue lists is missing, unless that was accepted; `integrity` if the
 *   newest session of a volume has no head that proves it
 */
export async function adoptArchive(writer: Writer): Promise<readonly Adopted[]> {
  const { open, state } = writer;
  const before = await open.reader.volumes();
  // Anything that makes adopting impossible must be found before a send of the previous writer is discarded.
  await takeIn(open, before);
  for (const id of new Set([...before.keys(), ...activeVolumes(open).map((entry) => entry.id)])) {
    await discardUnfinished(open, id);
  }
  // The previous writer may have committed a send in the meantime.
  const { volumes, adopted, sequence } = await takeIn(open, await open.reader.volumes());
  state.burnSequence(sequence);
  await changeCatalogue(
    writer,
    volumes,
    volumes.map(({ id }) => ({ volume: id })),
  );
  return adopted;
}

function activeVolumes({ pin }: OpenArchive): CatalogueVolume[] {
  return pin.known.catalogue.volumes.filter((entry) => entry.state === 'active');
}

interface TakenIn {
  /** Of the new catalogue. */
  readonly volumes: readonly CatalogueVolume[];
  readonly adopted: readonly Adopted[];
  /** The highest sequence of the catalogue and of all those heads. */
  readonly sequence: number;
}

/** The catalogue's volumes, each with its newest proven session, and the volumes that it does not list yet. */
async function takeIn(open: OpenArchive, stored: Listing): Promise<TakenIn> {
  const { catalogue } = open.pin.known;
  const adopted: Adopted[] = [];
  const volumes: CatalogueVolume[] = [];
  let { sequence } = catalogue;
  for (const entry of catalogue.volumes) {
    const newest = entry.state === 'deleted' ? undefined : await newestOf(open, entry, stored.get(entry.id) ?? []);
    sequence = Math.max(sequence, newest?.head.sequence ?? 0);
    volumes.push(newest === undefined ? entry : listing(entry, newest));
    if (newest !== undefined && newest.head.session !== entry.session) {
      adopted.push({ name: entry.name, session: newest.head.session, isNew: false });
    }
  }
  for (const [id, sessions] of stored) {
    if (catalogue.volumes.some((entry) => entry.id === id)) continue;
    const newest = await lastOf(open, { id, name: `volume ${id}` }, sessions);
    if (newest === undefined) continue;
    sequence = Math.max(sequence, newest.head.sequence);
    const name = freeName(newest.head.name, volumes);
    volumes.push(listing({ id, name, state: 'active', session: null, head: null, tags: {} }, newest));
    adopted.push({ name, session: newest.head.session, isNew: true });
  }
  return { volumes, adopted, sequence };
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
  const isThere = sessions.some(({ session }) => session === entry.session);
  if (entry.session !== null && !isThere && !open.acceptRollback) {
    throw newestMissing(
      entry.name,
      entry.session,
      sessions.map(({ session }) => session),
    );
  }
  const listed = isThere ? await newestHead(open, entry) : undefined;
  return sessions.at(-1)?.session === entry.session ? listed : await lastOf(open, entry, sessions);
}

/** The newest session in the archive, whether or not the catalogue lists it. */
async function lastOf(
  open: OpenArchive,
  { id, name }: Pick<CatalogueVolume, 'id' | 'name'>,
  sessions: readonly StoredSession[],
): Promise<ProvenSession | undefined> {
  return await newestHead(open, { id, name, session: sessions.at(-1)?.session ?? null, head: null });
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
