/**
 * The whole send: the archive is opened and compared with the pin, what an earlier run left is settled, all volumes are
 * snapshotted, then streamed one after another, and the catalogue that lists them is put.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { nextSessionName, type PairingId, type SessionName, type VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { beginSend, type SendRequest, type SendStart } from '../capture/begin-send.ts';
import { committed, discarded, settled, unchanged } from '../capture/conclude.ts';
import type { Pool, SelectedVolume } from '../config/pools.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { acquireLock } from '../link/flock.ts';
import { PipelinePool } from '../pipeline/pool.ts';
import type { ArchiveState } from '../trust/archive-state.ts';
import { openArchive, type OpenArchive } from '../trust/open-archive.ts';
import type { ProvenSession } from '../trust/proven-reader.ts';
import type { ArchiveConfig } from '../config/config.ts';
import { provenNewest } from './base.ts';
import { catalogueWith, type NewHead } from './new-catalogue.ts';
import { stopsEverything, streamVolume, type SendContext, type SendProgress } from './stream.ts';
import { settleUnfinished } from './unfinished.ts';

export interface SendOptions {
  readonly archive: ArchiveConfig;
  readonly state: ArchiveState;
  readonly pools: readonly Pool[];
  readonly volumes: readonly SelectedVolume[];
  /** Send volumes that the archive does not have yet. */
  readonly full: boolean;
  readonly tags: readonly string[];
  readonly acceptRollback: boolean;
  readonly lockWait: number;
  readonly rereadPerDay: number;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly progress: SendProgress;
}

export interface VolumeReport {
  readonly name: string;
  readonly kind: 'full' | 'incremental' | 'unchanged' | 'skipped' | 'failed';
  readonly compared: boolean;
  readonly volumeBytes: number;
  readonly changedBytes: number;
  readonly chunks: number;
  readonly zeroChunks: number;
  readonly sentBytes: number;
  readonly seconds: number;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface SendReport {
  /** null: nothing was committed. */
  readonly session: SessionName | null;
  readonly volumes: readonly VolumeReport[];
}

/** A volume that will be sent, with what the archive has of it. */
interface Planned {
  readonly pool: Pool;
  readonly request: SendRequest;
  readonly base: ProvenSession | undefined;
}

export async function send(options: SendOptions): Promise<SendReport> {
  const { state } = options;
  const lock = await acquireLock(join(state.folder, 'lock'), {
    exclusive: true,
    waitSeconds: options.lockWait,
    onWait: () => {
      options.log.warn(`waiting for another send to archive ${options.archive.name}`);
    },
  });
  try {
    const archive = await openArchive(options.archive, state, options);
    const workers = new PipelinePool(state.content.chunkContent(state.settings.level, state.settings.codec));
    try {
      refuseForeignWriter(archive);
      return await sendAll(options, { ...options, archive, workers });
    } finally {
      await workers.close();
      archive.client.close();
    }
  } finally {
    lock.release();
  }
}

function refuseForeignWriter({ pinned, state }: OpenArchive): void {
  if (pinned.catalogue.writer === state.settings.writer) return;
  throw new SparsebakError('refused', 'another dom0 writes to this archive; this one may only read it', {
    hint: 'Send from that one, or use an archive of your own.',
  });
}

async function sendAll(options: SendOptions, context: SendContext): Promise<SendReport> {
  const { archive } = context;
  await settleUnfinished(context, options.pools);
  const { planned, reports, session } = await planVolumes(options, context);
  const starts = await begin(planned);
  const heads: NewHead[] = [];
  const done: Planned[] = [];
  let stopped: SparsebakError | undefined;
  for (const plan of planned) {
    const start = starts.get(plan.request.volume);
    const began = Date.now();
    try {
      if (start === undefined) throw new SparsebakError('failed', 'the volume was not captured');
      if (start.kind !== 'begun') throw start.error;
      if (stopped !== undefined) throw stopped;
      const report = await sendOne(context, plan, start, heads);
      reports.push({ ...report, seconds: (Date.now() - began) / 1000 });
      if (report.kind !== 'unchanged') done.push(plan);
    } catch (caught) {
      const error = options.signal.aborted
        ? new SparsebakError('interrupted', 'interrupted')
        : asSparsebakError(caught);
      if (stopsEverything(error)) stopped = error;
      reports.push(failed(plan.request.volume, error, (Date.now() - began) / 1000));
      if (start?.kind === 'begun') await giveUp(context, plan, error);
    }
  }
  await listHeads(context, session, heads, done);
  if (stopped !== undefined && (archive.client.failure !== undefined || heads.length === 0)) throw stopped;
  if (archive.client.failure === undefined) await archive.client.bye();
  reports.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { session: heads.length === 0 ? null : session.name, volumes: reports };
}

/** The pending entry stays while the connection is gone: the next run asks the receiver how it ended, or goes on. */
async function giveUp(context: SendContext, { pool, request }: Planned, error: SparsebakError): Promise<void> {
  if (context.archive.client.failure !== undefined || error.code === 'interrupted') return;
  const { volume, archive, pairing, volumeId } = request;
  await context.archive.client.request({ t: 'resolve', volume: volumeId, pairing, resume: false });
  await discarded(pool, { volume, archive, pairing });
}

interface SessionPlan {
  readonly name: SessionName;
  readonly sequence: number;
}

/** Which volumes are sent, and over which base; the others get their report here. */
async function planVolumes(
  options: SendOptions,
  context: SendContext,
): Promise<{ planned: Planned[]; reports: VolumeReport[]; session: SessionPlan }> {
  const { archive } = context;
  const { catalogue } = archive.pin.known;
  const stored = await archive.reader.volumes();
  const active = new Map(catalogue.volumes.filter((v) => v.state === 'active').map((volume) => [volume.name, volume]));
  // Every volume that the catalogue lists must be there as it says, also those that are not sent now.
  const proven = new Map<VolumeId, ProvenSession | undefined>();
  await Promise.all(
    [...active.values()].map(async (entry) => {
      proven.set(entry.id, await provenNewest(archive, entry, stored));
    }),
  );
  const newest = [...stored.values()].flatMap((sessions) => sessions.at(-1)?.session ?? []);
  const listed = catalogue.volumes.flatMap((volume) => volume.session ?? []);
  const session: SessionPlan = {
    name: nextSessionName(Date.now(), [...newest, ...listed].sort().at(-1)),
    sequence: archive.state.burnSequence(catalogue.sequence),
  };
  const planned: Planned[] = [];
  const reports: VolumeReport[] = [];
  for (const selected of options.volumes) {
    const entry = active.get(selected.volume);
    const base = entry === undefined ? undefined : proven.get(entry.id);
    if (selected.missing) {
      reports.push(failed(selected.volume, new SparsebakError('source', `${selected.volume} is not there`), 0));
    } else if (base === undefined && !options.full) {
      const message = 'new volume: send it with --full';
      reports.push({ ...blank(selected.volume), kind: 'skipped', error: { code: 'skipped', message } });
    } else {
      planned.push({ pool: selected.pool, base, request: requestFor(selected, entry, base, archive, session) });
    }
  }
  return { planned, reports, session };
}

function requestFor(
  { volume }: SelectedVolume,
  entry: CatalogueVolume | undefined,
  base: ProvenSession | undefined,
  { state }: OpenArchive,
  session: SessionPlan,
): SendRequest {
  return {
    volume,
    archive: state.record.archive,
    chunkSize: state.record.chunkSize,
    pairing: randomBytes(16).toString('hex') as PairingId,
    base:
      base === undefined
        ? null
        : { pairing: base.head.pairing, session: base.head.session, head: Buffer.from(base.headHash).toString('hex') },
    volumeId: entry?.id ?? (randomBytes(16).toString('hex') as VolumeId),
    name: entry?.name ?? volume,
    session: session.name,
    sequence: session.sequence,
  };
}

/** All volumes of all pools are snapshotted before the first byte is read. */
async function begin(planned: readonly Planned[]): Promise<Map<string, SendStart>> {
  const starts = new Map<string, SendStart>();
  for (const pool of new Set(planned.map((plan) => plan.pool))) {
    const requests = planned.filter((plan) => plan.pool === pool).map(({ request }) => request);
    for (const start of await beginSend(pool, requests)) starts.set(start.volume, start);
  }
  return starts;
}

async function sendOne(
  context: SendContext,
  { pool, request, base }: Planned,
  start: Extract<SendStart, { kind: 'begun' }>,
  heads: NewHead[],
): Promise<VolumeReport> {
  if (start.map === null && base !== undefined) {
    context.log.info({ volume: request.volume }, `compared in full: ${start.reason ?? ''}`);
  }
  const sent = await streamVolume(context, {
    pool,
    name: request.volume,
    pending: { ...request, time: start.tock.time },
    tock: start.tock,
    base,
    map: context.archive.rolledBack ? undefined : (start.map ?? undefined),
    compared: false,
    rolling: pool.store.stateOf(pool.pool, request.volume).rolling[request.archive],
  });
  const ref = { volume: request.volume, archive: request.archive, pairing: request.pairing };
  const { volumeBytes, changedBytes, chunks, zeroChunks, sentBytes, compared } = sent;
  const counts = { ...blank(request.volume), compared, volumeBytes, changedBytes, chunks, zeroChunks, sentBytes };
  if (sent.kind === 'unchanged') {
    await unchanged(pool, ref, sent.rolling);
    return { ...counts, kind: 'unchanged' };
  }
  // Heads are listed by what the receiver has, whatever becomes of dom0's own note of it.
  heads.push(sent.head);
  await committed(pool, ref, sent.rolling);
  return { ...counts, kind: base === undefined ? 'full' : 'incremental' };
}

async function listHeads(
  context: SendContext,
  session: SessionPlan,
  heads: readonly NewHead[],
  done: readonly Planned[],
): Promise<void> {
  const { archive } = context;
  const wanted = heads.length > 0 || archive.rolledBack;
  if (!wanted || archive.client.failure !== undefined) return;
  const catalogue = catalogueWith(archive.pin.known.catalogue, archive.state, session.sequence, heads);
  await archive.pin.replace(archive.client, catalogue);
  for (const { pool, request } of done) {
    await settled(pool, { volume: request.volume, archive: request.archive, pairing: request.pairing });
  }
}

function blank(name: string): VolumeReport {
  return {
    name,
    kind: 'failed',
    compared: false,
    volumeBytes: 0,
    changedBytes: 0,
    chunks: 0,
    zeroChunks: 0,
    sentBytes: 0,
    seconds: 0,
  };
}

function failed(name: string, error: SparsebakError, seconds: number): VolumeReport {
  return { ...blank(name), seconds, error: { code: error.code, message: error.message } };
}
