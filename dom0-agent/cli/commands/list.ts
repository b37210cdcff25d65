/**
 * `list`: the volumes of the archive and their sessions. The newest head of each is verified every time, the others
 * once.
 */
import { hasUnicode, painterFor } from '../../../shared/terminal/colour.ts';
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import { isMisleading } from '../../../shared/archive/calendar.ts';
import type { SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { SparsebakError, reportOf, type ErrorReport } from '../../../shared/errors.ts';
import type { CatalogueVolume } from '../../content/catalogue.ts';
import { newestFault, tooManySessions } from '../../proven-archive/find-session.ts';
import type { OpenArchive } from '../../proven-archive/open-archive.ts';
import { KnownHeads, type KnownHead } from '../../proven-archive/known-heads.ts';
import {
  asProofs,
  describeProofs,
  readProofs,
  type ShownProofs,
  type VolumeProofs,
} from '../../proven-archive/proofs.ts';
import { newestHeadLost } from '../../proven-archive/newest-head.ts';
import type { Listing, StoredSession } from '../../proven-archive/proven-reader.ts';
import { Unproven, provenSessions } from '../../proven-archive/session-heads.ts';
import { isVolumeError, namingVolume } from '../../proven-archive/volume-error.ts';
import type { CommandContext } from '../command-context.ts';
import { formatTable, print, printJson } from '../output.ts';
import { parseArchiveName } from '../../qubes/names.ts';
import { timeLine } from '../time-line.ts';
import { printVolumeErrors, statusOfErrors, type VolumeError } from '../volume-errors.ts';
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

export interface ListedVolume {
  readonly name: string;
  readonly sizeBytes: number;
  /** Not in the catalogue: committed by a send that was interrupted before it could list it. */
  readonly uncatalogued?: true;
  /** What this computer last verified of it. */
  readonly proven: ShownProofs;
  readonly sessions: readonly ListedSession[];
  /** It is not in the archive as the catalogue says. */
  readonly error?: ErrorReport;
}

export async function list(context: CommandContext, name: string | undefined): Promise<number> {
  return withArchive(context, { purpose: 'retrieve', reportsCatalogue: true }, async (archive) => {
    const { volumes, unknown } = await listed(archive, name);
    if (name !== undefined && volumes.length === 0) {
      throw new SparsebakError('not-found', `the archive has no volume "${name}"`, { hint: 'See "sparsebak list".' });
    }
    if (context.json) printJson({ volumes });
    else print([...drawing(volumes), asText(volumes)].join('\n'));
    const errors = volumes.flatMap(({ name: volume, error }) => (error === undefined ? [] : [{ name: volume, error }]));
    printVolumeErrors([...errors, ...unknown]);
    if (archive.catalogueFault !== undefined) throw archive.catalogueFault;
    return statusOfErrors([...errors, ...unknown]);
  });
}

export interface Listed {
  readonly volumes: ListedVolume[];
  /** Errors of volumes whose name neither the catalogue nor a head gives. */
  readonly unknown: VolumeError[];
}

export async function listed(archive: OpenArchive, name: string | undefined): Promise<Listed> {
  const stored = await archive.reader.volumes();
  const entries = archive.pinned.catalogue.volumes;
  const isMeant = (volume: string): boolean =>
    name === undefined || volume === name || parseArchiveName(volume)?.qube === name;
  const active = entries.filter((entry) => entry.state === 'active' && isMeant(entry.name));
  const ids = new Set(entries.map(({ id }) => id));
  const strangers = [...stored.keys()].filter((id) => !ids.has(id));
  const known = new KnownHeads(archive.state);
  const proofs = readProofs(archive.state.folder);
  const looked = await Promise.all(
    [...active.map((entry) => ({ id: entry.id, entry })), ...strangers.map((id) => ({ id, entry: undefined }))].map(
      ({ id, entry }) => lookAt(archive, { id, entry, stored, known, proofs: proofs[id] }),
    ),
  );
  // After listing one volume, saving would drop what is known of the others.
  if (name === undefined) known.save();
  const still = await withoutPruned(archive, looked);
  const volumes = still
    .flatMap((found) => asVolume(found) ?? [])
    .filter((volume) => isMeant(volume.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return { volumes, unknown: unknownVolumes(still) };
}

interface LookedAt {
  readonly id: VolumeId;
  readonly entry: CatalogueVolume | undefined;
  /** The catalogue's name, or that of the newest head; undefined for a volume without either. */
  readonly name: string | undefined;
  readonly sizeBytes: number;
  readonly proofs: VolumeProofs | undefined;
  readonly sessions: readonly ListedSession[];
  readonly unproven: Unproven;
  /** Why the volume could not be examined at all. */
  readonly fault: SparsebakError | undefined;
}

interface ToLookAt {
  readonly id: VolumeId;
  readonly entry: CatalogueVolume | undefined;
  readonly stored: Listing;
  readonly known: KnownHeads;
  readonly proofs: VolumeProofs | undefined;
}

async function lookAt(archive: OpenArchive, { id, entry, stored, known, proofs }: ToLookAt): Promise<LookedAt> {
  const sessions = stored.get(id) ?? [];
  const heads = new Map<SessionName, KnownHead>();
  const unproven = new Unproven();
  let name = entry?.name;
  let fault = missingOf(entry, stored, id);
  const expected = entry?.session && entry.head ? { session: entry.session, hash: entry.head } : undefined;
  const wanted = sessions.flatMap(({ session }) => {
    // The newest session's head is verified each time.
    const isNewest = session === sessions.at(-1)?.session || session === entry?.session;
    const head = isNewest ? undefined : known.get(id, session);
    if (head === undefined) return [session];
    heads.set(session, head);
    return [];
  });
  try {
    for await (const some of provenSessions(archive.reader, { volume: id, sessions: wanted, expected }, unproven)) {
      for (const { head } of some) {
        known.add(head);
        heads.set(head.session, head);
        name = entry?.name ?? head.name;
      }
    }
  } catch (error) {
    if (!isVolumeError(error, archive.client)) throw error;
    fault ??= error;
  }
  const sizeBytes = sessions.flatMap(({ session }) => heads.get(session)?.size ?? []).at(-1) ?? 0;
  const shown = sessions.flatMap((each) => {
    const head = heads.get(each.session);
    return head === undefined ? [] : [asSession(head, each, entry?.tags ?? {})];
  });
  return { id, entry, name, sizeBytes, proofs, sessions: shown, unproven, fault };
}

/**
 * The catalogue is signed, so every session that it lists must be in the archive: a receiver could withhold one. A
 * session that cannot exist must not be listed.
 */
function missingOf(entry: CatalogueVolume | undefined, stored: Listing, id: VolumeId): SparsebakError | undefined {
  const missing = entry === undefined ? undefined : newestFault(entry, stored);
  if (missing !== undefined) return missing;
  const surplus = stored.surplus.get(id);
  return surplus === undefined ? undefined : tooManySessions(entry?.name ?? id, surplus);
}

/** Leaves out sessions that were pruned after the receiver listed them: they are not missing. */
async function withoutPruned({ reader }: OpenArchive, looked: readonly LookedAt[]): Promise<readonly LookedAt[]> {
  if (looked.every(({ unproven }) => unproven.count === 0)) return looked;
  const now = await reader.volumes();
  for (const { id, unproven } of looked) unproven.keepOnly(new Set(now.names(id)));
  return looked;
}

/** Undefined for a volume that no catalogue lists and no head names. */
function asVolume({
  id,
  entry,
  name,
  sizeBytes,
  proofs,
  sessions,
  unproven,
  fault,
}: LookedAt): ListedVolume | undefined {
  if (name === undefined || (sessions.length === 0 && !entry?.session)) return undefined;
  const error = fault ?? unprovenSessions({ id, name, session: entry?.session ?? null }, unproven);
  return {
    ...{ name, sizeBytes },
    ...(entry === undefined ? { uncatalogued: true as const } : {}),
    ...{ proven: asProofs(proofs), sessions },
    ...(error === undefined ? {} : { error: reportOf(error) }),
  };
}

/** Errors of a volume's heads: that of the newest session first, since nothing can be sent without it. */
function unprovenSessions(
  volume: Pick<CatalogueVolume, 'id' | 'name' | 'session'>,
  { named, count }: Unproven,
): SparsebakError | undefined {
  const [first] = named;
  if (first === undefined) return undefined;
  const newest = volume.session === null ? undefined : named.get(volume.session);
  if (newest !== undefined && count === 1) return newestHeadLost(volume, newest);
  const others = [...named.keys()].filter((session) => session !== volume.session);
  const shown = others.slice(0, 3).join(', ');
  if (newest !== undefined) {
    const { code, message } = newest;
    const more =
      `${message}; ${count - 1} other sessions have no valid head either ` + `(${shown}${count > 4 ? ', …' : ''})`;
    return newestHeadLost(volume, new SparsebakError(code, more, { cause: newest }));
  }
  const [session, fault] = first;
  const hint =
    'It cannot be restored. "sparsebak prune ' +
    `${volume.name} --session ${session}" removes it, and keeps all others as they are.`;
  if (count === 1) {
    const { code, message } = fault;
    return namingVolume(new SparsebakError(code, message, { cause: fault }), { ...volume, session, hint });
  }
  return new SparsebakError(
    'integrity',
    `${count} sessions of ${volume.name} have no valid head: ${shown}${count > 3 ? ', …' : ''}`,
    {
      hint:
        'They cannot be restored. "sparsebak prune ' +
        `${volume.name} --session ${session}", and so on, removes them, and keeps all others as they are.`,
      cause: fault,
    },
  );
}

/** All volumes without a name are reported in one error. */
function unknownVolumes(looked: readonly LookedAt[]): VolumeError[] {
  const nameless = looked.filter(
    ({ name, unproven, fault }) => name === undefined && (unproven.count > 0 || fault !== undefined),
  );
  const [first] = nameless;
  if (first === undefined) return [];
  const message =
    `${nameless.length} ${nameless.length === 1 ? 'volume' : 'volumes'} that the catalogue does ` +
    `not list and that have no valid head (volumes/${first.id}${nameless.length > 1 ? ', …' : ''})`;
  const hint = 'An interrupted send left them, or the backup VM made them up: they cannot be restored.';
  return [{ name: first.id, error: { code: 'integrity', message, hint } }];
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

/** Only on a terminal. */
function drawing(volumes: readonly ListedVolume[]): string[] {
  const { stdout } = process;
  if (!stdout.isTTY) return [];
  const drawn = volumes.map(({ name, error, sessions }) => ({ name, isDamaged: error !== undefined, sessions }));
  const lines = timeLine(
    drawn.filter(({ sessions }) => sessions.length > 0),
    { width: stdout.columns || 80, unicode: hasUnicode(), paint: painterFor(stdout) },
  );
  return lines.length === 0 ? [] : [...lines, ''];
}

function asText(volumes: readonly ListedVolume[]): string {
  if (volumes.length === 0) return 'The archive has no volume yet.';
  const rows = volumes.flatMap((volume) =>
    volume.sessions.map((session, index) => [
      index === 0 ? labelOf(volume) : '',
      isMisleading(session.session, session.time) ? `${session.session} (${minute(session.time)})` : session.session,
      session.kind,
      formatBytes(session.sizeBytes),
      formatBytes(session.changedBytes),
      formatBytes(session.storedBytes),
      [...session.tags, ...(session.state === 'running' ? ['(running)'] : [])].join(', '),
      describeProofs(volume.proven, session.session),
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

function labelOf({ name, uncatalogued, error }: ListedVolume): string {
  const remarks = [...(uncatalogued === true ? ['(uncatalogued)'] : []), ...(error === undefined ? [] : ['(DAMAGED)'])];
  return [name, ...remarks].join(' ');
}
