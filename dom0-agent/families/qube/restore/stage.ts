/** Restores a qube's volumes beside their places, each complete and proven, and exchanges them. */
import { isSessionName } from '../../../../shared/archive/names.ts';
import { SparsebakError } from '../../../../shared/errors.ts';
import { noteProof } from '../../../proven-archive/proofs.ts';
import type { QubeVolume } from '../../../qubes/qubesd.ts';
import { occupiedBytes } from '../../../reading/stored-size.ts';
import { restore } from '../../../restore/restore-session.ts';
import type { PlannedQube, PlannedVolume } from './plan.ts';
import type { RestoreRecord, VolumeRecord } from './record.ts';
import type { HostServices, RestoreServices } from './services.ts';
import type { Place } from './storages.ts';

/** A volume that is restored, with its place here. */
export interface PlacedVolume {
  readonly planned: PlannedVolume;
  readonly there: QubeVolume;
  readonly place: Place;
}

/** @throws `target` if Qubes has no such volume of the qube, or does not save it */
export async function placesOf({ qubesd, storages }: HostServices, qube: PlannedQube): Promise<PlacedVolume[]> {
  const volumes = await qubesd.volumes(qube.name);
  return await Promise.all(
    qube.volumes.map(async (planned) => {
      const there = volumes.find(({ name, saveOnStop }) => name === planned.volume && saveOnStop);
      if (there !== undefined) return { planned, there, place: await storages.placeOf(there) };
      throw new SparsebakError('target', `${qube.name} has no volume ${planned.volume} that Qubes saves`, {
        hint: 'Its template may be of another kind than it was.',
      });
    }),
  );
}

/** @throws `target` if a volume is in use */
export async function refuseUse(qube: string, volumes: readonly PlacedVolume[]): Promise<void> {
  for (const { planned, place } of volumes) {
    const use = await place.exchange.use(place.name);
    if (use === undefined) continue;
    throw new SparsebakError('target', `${qube}:${planned.volume} cannot be restored: ${use}`, {
      hint: 'Shut the qube down, or wait for the import to end; then run the command again.',
    });
  }
}

/**
 * Makes a volume complete beside its place, unless that was done before.
 * @returns the record with it
 */
export async function stage(
  services: RestoreServices,
  record: RestoreRecord,
  { planned, there, place }: PlacedVolume,
): Promise<RestoreRecord> {
  const { volume, session } = planned;
  const before = record.volumes[volume];
  if (before !== undefined) {
    if (before.session === session && before.state !== 'empty') {
      services.context.progress.expect(`${record.name}:${volume}`, 0);
      return record;
    }
    await place.exchange.remove(before.staged);
  }
  // The same names again, since what a killed restore has written is found, and removed, by them.
  const mayReuse = before !== undefined && !(await place.exchange.exists(before.kept));
  const { staged, kept } = mayReuse ? before : await freeNames(place);
  const begun: VolumeRecord = { pool: there.pool, name: place.name, session, staged, kept, state: 'empty' };
  services.records.write(withVolume(record, volume, begun));
  await fill(services, record, planned, { place, staged });
  const after = withVolume(record, volume, { ...begun, state: 'staged' });
  services.records.write(after);
  return after;
}

export function withVolume(record: RestoreRecord, volume: string, content: VolumeRecord): RestoreRecord {
  return { ...record, volumes: { ...record.volumes, [volume]: content } };
}

async function freeNames({ exchange, name }: Place): Promise<{ readonly staged: string; readonly kept: string }> {
  for (let seconds = Math.floor(Date.now() / 1000); ; seconds++) {
    const names = exchange.names(name, seconds);
    if (!(await exchange.exists(names.staged)) && !(await exchange.exists(names.kept))) return names;
  }
}

async function fill(
  { context, archive, workers }: RestoreServices,
  { qube, name }: RestoreRecord,
  { volume, session: sessionName }: PlannedVolume,
  { place, staged }: { readonly place: Place; readonly staged: string },
): Promise<void> {
  const part = archive.qube(qube).volumes.get(volume);
  if (part === undefined || !isSessionName(sessionName)) throw new SparsebakError('not-found', `no ${qube}:${volume}`);
  const { client, reader, state } = archive.open;
  const session = await archive.head(part, sessionName);
  const target = await place.source.newVolume({
    ...{ name: staged, archived: part.entry.name, ownership: undefined, size: session.head.size, replaces: false },
    bytesIn: (block) => occupiedBytes(session, reader, block),
  });
  const { progress, signal } = context;
  progress.start(`${name}:${volume}`, session.head.size);
  const restored = await restore(session, target, {
    ...{ client, reader, workers, signal },
    onProgress: (bytes) => {
      progress.add(bytes);
    },
    onSkipped: (bytes) => {
      progress.skip(bytes);
    },
  });
  progress.finish();
  const proof = { session: sessionName, time: Date.now(), chunks: restored.chunks };
  noteProof(state.folder, part.entry.id, 'whole', proof);
}

/** Puts a staged volume in its place. @returns the record with it, not written yet */
export async function takePlace(record: RestoreRecord, volume: string, place: Place): Promise<RestoreRecord> {
  const content = record.volumes[volume];
  if (content?.state !== 'staged') return record;
  await place.exchange.exchange({ name: place.name, incoming: content.staged, keptAs: content.kept });
  return withVolume(record, volume, { ...content, state: 'done' });
}
