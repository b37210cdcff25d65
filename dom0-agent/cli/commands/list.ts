/** `list`: the volumes of the archive and their sessions. The newest head of each is proven, the others once. */
import { isMisleading } from '../../../shared/archive/calendar.ts';
import type { SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { SparsebakError, asSparsebakError } from '../../../shared/errors.ts';
import type { CatalogueVolume } from '../../content/catalogue.ts';
import { newestMissing } from '../../restore/find-session.ts';
import type { OpenArchive } from '../../trust/open-archive.ts';
import { KnownHeads, type KnownHead } from '../../trust/known-heads.ts';
import { asProofs, describeProof, readProofs, type ShownProofs, type VolumeProofs } from '../../trust/proofs.ts';
import { newestHeadLost } from '../../trust/newest-head.ts';
import type { StoredSession } from '../../trust/proven-reader.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatTable, print, printJson } from '../output.ts';
import { withArchive } from '../with-archive.ts';

interface ListedSession {
  readonly session: SessionName;
  readonly sequence: number;
  readonly kind: 'full' | 'incremental';
  readonly sizeBytes: number;
  readonly changedBytes: number;
  readonly storedBytes: number;
  readonly tags: readonly string[];
  /** ISO 8601, of the snapshot. */
  readonly time: string;
  readonly state: 'stopped' | 'running';
}

interface ListedVolume {
  readonly name: string;
  readonly sizeBytes: number;
  /** Not in the catalogue: committed by a send that was cut off before it could list it. */
  readonly uncatalogued?: true;
  /** What this computer last proved of it. */
  readonly proven: ShownProofs;
  readonly sessions: readonly ListedSession[];
}

export async function list(context: CommandContext, name: string | undefined): Promise<number> {
  return withArchive(context, { purpose: 'retrieve', reportsCatalogue: true }, async (archive) => {
    const { volumes, faults } = await listed(archive, name);
    if (name !== undefined && volumes.length === 0 && faults.length === 0) {
      throw new SparsebakError('not-found', `the archive has no volume "${name}"`, { hint: 'See "sparsebak list".' });
    }
    if (context.json) printJson({ volumes });
    else print(asText(volumes));
    if (archive.catalogueFault !== undefined) faults.push(archive.catalogueFault);
    const [first, ...others] = faults;
    for (const { message } of others) context.log.error(message);
    // What is whole was shown; the command fails all the same.
    if (first !== undefined) throw first;
    return 0;
  });
}

interface Listed {
  readonly volumes: ListedVolume[];
  /** Volumes that are not there as the catalogue says. */
  readonly faults: SparsebakError[];
}

async function listed(archive: OpenArchive, name: string | undefined): Promise<Listed> {
  const stored = await archive.reader.volumes();
  const entries = archive.pinned.catalogue.volumes;
  const active = entries.filter((entry) => entry.state === 'active' && (name === undefined || entry.name === name));
  const ids = new Set(entries.map(({ id }) => id));
  const unknown = [...stored.keys()].filter((id) => !ids.has(id));
  const faults: SparsebakError[] = [];
  const known = new KnownHeads(archive.state);
  const proofs = readProofs(archive.state.folder);
  const looked = await Promise.all(
    [...active.map((entry) => ({ id: entry.id, entry })), ...unknown.map((id) => ({ id, entry: undefined }))].map(
      async ({ id, entry }) => {
        try {
          return await oneVolume(archive, known, id, entry, { sessions: stored.get(id) ?? [], proofs: proofs[id] });
        } catch (caught) {
          const error = asSparsebakError(caught);
          if (!['integrity', 'rollback'].includes(error.code) || archive.client.failure !== undefined) throw error;
          faults.push(error);
          return undefined;
        }
      },
    ),
  );
  faults.push(...(await lostHeads(archive, looked)));
  // A listing of one volume knows nothing of the others.
  if (name === undefined && faults.length === 0) known.save();
  const volumes = looked
    .flatMap((found) => found?.volume ?? [])
    .filter((volume) => name === undefined || volume.name === name)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return { volumes, faults };
}

interface Looked {
  readonly id: VolumeId;
  readonly volume: ListedVolume;
  /** What the catalogue lists as its newest session. */
  readonly newest: SessionName | null;
  /** Sessions that the receiver lists and that have no sound head, with what is wrong with it where there is one. */
  readonly headless: ReadonlyMap<SessionName, SparsebakError | undefined>;
}

/** A session that was pruned since the receiver listed it has lost nothing. */
async function lostHeads({ reader }: OpenArchive, looked: readonly (Looked | undefined)[]): Promise<SparsebakError[]> {
  const suspect = looked.flatMap((found) => (found === undefined || found.headless.size === 0 ? [] : [found]));
  if (suspect.length === 0) return [];
  const now = await reader.volumes();
  return suspect.flatMap(({ id, volume: { name }, newest, headless }) => {
    const there = new Set(now.get(id)?.map(({ session }) => session));
    return [...headless]
      .filter(([session]) => there.has(session))
      .map(([session, fault]) => headLost({ id, name, session }, newest, fault));
  });
}

function headLost(
  volume: { readonly id: VolumeId; readonly name: string; readonly session: SessionName },
  newest: SessionName | null,
  fault = new SparsebakError('integrity', `session ${volume.session} of ${volume.name} has no head in the archive`),
): SparsebakError {
  const { name, session } = volume;
  if (session === newest) return newestHeadLost(volume, fault);
  return new SparsebakError('integrity', fault.message, {
    hint: `It cannot be restored. "sparsebak prune ${name} --session ${session}" takes it away, and keeps all others as they are.`,
    cause: fault,
  });
}

/** Sessions that one `get-heads` may name. */
const HEADS_AT_ONCE = 1024;

async function oneVolume(
  { reader }: OpenArchive,
  known: KnownHeads,
  id: VolumeId,
  entry: CatalogueVolume | undefined,
  { sessions, proofs }: { readonly sessions: readonly StoredSession[]; readonly proofs: VolumeProofs | undefined },
): Promise<Looked | undefined> {
  // The catalogue is signed, so what it lists must be there: a receiver could withhold it.
  if (entry?.session && !sessions.some(({ session }) => session === entry.session)) {
    throw newestMissing(
      entry.name,
      entry.session,
      sessions.map(({ session }) => session),
    );
  }
  const last = sessions.at(-1);
  if (last === undefined) return undefined;
  const heads = new Map<SessionName, KnownHead>();
  const wanted: SessionName[] = [];
  for (const { session } of sessions) {
    const head = session === last.session || session === entry?.session ? undefined : known.get(id, session);
    if (head === undefined) wanted.push(session);
    else heads.set(session, head);
  }
  const expected = entry?.session && entry.head ? { session: entry.session, hash: entry.head } : undefined;
  const damaged = new Map<SessionName, SparsebakError>();
  const onDamaged = (session: SessionName, fault: SparsebakError) => void damaged.set(session, fault);
  let name = entry?.name;
  for (let from = 0; from < wanted.length; from += HEADS_AT_ONCE) {
    const some = wanted.slice(from, from + HEADS_AT_ONCE);
    for (const { head } of await reader.headsThere(id, some, expected, onDamaged)) {
      known.add(head);
      heads.set(head.session, head);
      name = entry?.name ?? head.name;
    }
  }
  const volume: ListedVolume = {
    name: name ?? id,
    sizeBytes: sessions.flatMap(({ session }) => heads.get(session)?.size ?? []).at(-1) ?? 0,
    ...(entry === undefined ? { uncatalogued: true as const } : {}),
    proven: asProofs(proofs),
    sessions: sessions.flatMap((stored) => {
      const head = heads.get(stored.session);
      return head === undefined ? [] : [asSession(head, stored, entry?.tags ?? {})];
    }),
  };
  const headless = new Map(
    sessions.flatMap(({ session }) => (heads.has(session) ? [] : [[session, damaged.get(session)] as const])),
  );
  return { id, volume, newest: entry?.session ?? null, headless };
}

function asSession(
  head: KnownHead,
  { session, storedBytes }: StoredSession,
  tags: Readonly<Record<string, string[]>>,
): ListedSession {
  return {
    session,
    sequence: head.sequence,
    kind: head.base === null ? 'full' : 'incremental',
    sizeBytes: head.size,
    changedBytes: head.changedBytes,
    storedBytes,
    tags: tags[session] ?? [],
    time: new Date(head.time).toISOString(),
    state: head.state,
  };
}

function asText(volumes: readonly ListedVolume[]): string {
  if (volumes.length === 0) return 'The archive has no volume yet.';
  const rows = volumes.flatMap(({ name, sessions, uncatalogued, proven }) =>
    sessions.map((session, index) => [
      index === 0 ? `${name}${uncatalogued === true ? ' (uncatalogued)' : ''}` : '',
      isMisleading(session.session, session.time) ? `${session.session} (${minute(session.time)})` : session.session,
      session.kind,
      formatBytes(session.sizeBytes),
      formatBytes(session.changedBytes),
      formatBytes(session.storedBytes),
      [...session.tags, ...(session.state === 'running' ? ['(running)'] : [])].join(', '),
      proofText(proven, session.session),
    ]),
  );
  return formatTable(
    ['VOLUME', 'SESSION', 'KIND', 'SIZE', 'CHANGED', 'STORED', 'TAGS', 'PROVEN'],
    rows,
    [3, 4, 5],
    [2, 5, 3],
  );
}

/** UTC, without seconds. */
function minute(time: string): string {
  return time.slice(0, 16).replace('T', ' ');
}

/** The strongest that is known of the session. */
function proofText({ whole, sample }: ShownProofs, session: string): string {
  if (whole?.session === session) return describeProof(whole, true);
  return sample?.session === session ? describeProof(sample, false) : '';
}
