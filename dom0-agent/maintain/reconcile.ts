/**
 * Makes the receiver and dom0's own state agree with the catalogue for some volumes. Each step checks the current state
 * and does what is missing, so it may be interrupted anywhere and repeated.
 */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { asSparsebakError, type SparsebakError } from '../../shared/errors.ts';
import { forget, renamed } from '../capture/forget-volume.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { deleteVolume, protect, renameVolume } from '../link/maintenance-requests.ts';
import type { StoredSession } from '../proven-archive/proven-reader.ts';
import { successorOf } from '../proven-archive/succession.ts';
import { isProtectedBy } from './protecting-tags.ts';
import { noteChanges, strikeOutChanges, unfinishedChanges, type Change } from '../proven-archive/unfinished-changes.ts';
import type { Writer } from './writer.ts';

export interface Reconciled {
  /** As the receiver reports. */
  readonly freedBytes: number;
  /** Why dom0's record of changes was not renamed, by the volume's new name. */
  readonly stayed: ReadonlyMap<string, SparsebakError>;
}

/** Finishes changes of earlier commands. A change that is refused now stays noted, and does not stop the command. */
export async function finishChanges(writer: Writer): Promise<void> {
  const { state, open, log } = writer;
  const noted = unfinishedChanges(state);
  if (noted.length === 0) return;
  const changes = noted === 'all' ? open.pin.known.catalogue.volumes.map(({ id }) => ({ volume: id })) : noted;
  try {
    await reconcile(writer, changes);
    strikeOutChanges(state, noted);
  } catch (caught) {
    const error = asSparsebakError(caught);
    if (writer.signal.aborted || open.client.failure !== undefined) throw error;
    log.warn(`an earlier change could not be finished: ${error.message}`);
  }
}

/**
 * Puts a new catalogue, and carries out the changes in it. @throws `refused`, with nothing changed, if the receiver
 * does not allow them
 */
export async function changeCatalogue(
  writer: Writer,
  volumes: readonly CatalogueVolume[],
  changes: readonly Change[],
): Promise<Reconciled> {
  const { state, open } = writer;
  // A catalogue must not contain changes that cannot be carried out.
  const told = changes.some(({ was }) => was === undefined || !state.record.encrypted);
  if (told) await writer.maintenance();
  noteChanges(state, changes);
  const { known } = open.pin;
  const sequence = state.burnSequence(known.catalogue.sequence);
  const next = successorOf(known, { writer: state.settings.writer, sequence, volumes: [...volumes] });
  await open.pin.replace(open.client, next);
  const outcome = await reconcile(writer, changes);
  strikeOutChanges(state, changes);
  return outcome;
}

async function reconcile(writer: Writer, changes: readonly Change[]): Promise<Reconciled> {
  let freedBytes = 0;
  const stayed = new Map<string, SparsebakError>();
  if (changes.length === 0) return { freedBytes, stayed };
  const { reader, pin } = writer.open;
  const stored = await reader.volumes();
  const { volumes } = pin.known.catalogue;
  for (const change of changes) {
    const entry = volumes.find(({ id }) => id === change.volume);
    // The command was interrupted before its catalogue was written: nothing was changed.
    if (entry === undefined) continue;
    const sessions = stored.get(entry.id) ?? [];
    if (entry.state === 'deleted') {
      freedBytes += await takeAway(writer, entry, sessions);
      continue;
    }
    await protectAsTagged(writer, entry, sessions);
    if (change.was === undefined || change.was === entry.name) continue;
    if (!writer.state.record.encrypted && sessions.length > 0)
      await renameVolume(await writer.maintenance(), entry.id, entry.name);
    const why = await moveState(writer, change.was, entry.name);
    if (why !== undefined) stayed.set(entry.name, why);
  }
  return { freedBytes, stayed };
}

/** A tombstone protects no sessions. */
async function takeAway(writer: Writer, entry: CatalogueVolume, sessions: readonly StoredSession[]): Promise<number> {
  const client = await writer.maintenance();
  for (const each of sessions) if (each.protected) await protect(client, entry.id, each.session, false);
  const bytes = await deleteVolume(client, entry.id);
  const { volumes } = writer.open.pin.known.catalogue;
  // By now a new volume may have the name.
  if (volumes.some(({ name, state }) => state === 'active' && name === entry.name)) return bytes;
  for (const pool of writer.pools) await forget(pool, entry.name, writer.state.record.archive);
  return bytes;
}

async function protectAsTagged(
  writer: Writer,
  { id, tags }: CatalogueVolume,
  sessions: readonly StoredSession[],
): Promise<void> {
  for (const each of sessions) {
    const on = isProtectedBy(tags[each.session]);
    if (on !== each.protected) await protect(await writer.maintenance(), id, each.session, on);
  }
}

/** @returns why an existing state was not moved */
async function moveState({ pools }: Writer, from: string, to: string): Promise<SparsebakError | undefined> {
  for (const pool of pools) {
    try {
      await renamed(pool, from, to);
    } catch (error) {
      return asSparsebakError(error);
    }
  }
  return undefined;
}

/** Sessions that a tag protects and that are missing at the receiver. */
export function protectedAndMissing(
  entry: CatalogueVolume,
  stored: ReadonlyMap<VolumeId, readonly StoredSession[]>,
): SessionName[] {
  const there = new Set((stored.get(entry.id) ?? []).map(({ session }) => session));
  return (Object.keys(entry.tags) as SessionName[]).filter(
    (session) => isProtectedBy(entry.tags[session]) && !there.has(session),
  );
}
