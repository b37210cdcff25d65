/**
 * One volume from its snapshot to the receiver's `committed`: opened, checked against the base by a sample, streamed,
 * closed (a source that cannot freeze says here whether the content moved), and signed.
 */
import type { Logger } from 'pino';
import { Geometry } from '../../shared/archive/address.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { checkpointed, type Resumption } from '../capture/checkpoint.ts';
import { mistrusted } from '../capture/conclude.ts';
import type { DeltaMap } from '../capture/delta-map.ts';
import type { Pending } from '../capture/pairing.ts';
import { chooseSample, type RollingState } from '../capture/sample.ts';
import type { Pool } from '../config/pools.ts';
import type { PipelinePool } from '../pipeline/pool.ts';
import type { OpenSnapshot, SnapshotRef } from '../source/source.ts';
import type { OpenArchive } from '../trust/open-archive.ts';
import type { ProvenSession } from '../trust/proven-reader.ts';
import type { NewHead } from './new-catalogue.ts';
import { Outgoing, type CheckpointState } from './outgoing.ts';
import { agrees } from './sampled.ts';
import type { VolumeContent } from './volume-content.ts';
import { sendContent, type VolumeSent } from './volume-send.ts';

/** What all volumes of a send share. */
export interface SendContext {
  readonly archive: OpenArchive;
  readonly workers: PipelinePool;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly tags: readonly string[];
  /** Bytes per volume and day of the rolling re-read. */
  readonly rereadPerDay: number;
  readonly progress: SendProgress;
}

export interface SendProgress {
  begin(volume: string, bytes: number): void;
  add(bytes: number): void;
}

export interface StreamRequest {
  readonly pool: Pool;
  readonly name: string;
  readonly pending: Pick<Pending, 'archive' | 'pairing' | 'volumeId' | 'name' | 'session' | 'sequence' | 'time'>;
  readonly tock: SnapshotRef;
  readonly base: ProvenSession | undefined;
  /** undefined: everything is looked at. */
  readonly map: DeltaMap | undefined;
  /** Everything was already looked at before an interruption. */
  readonly compared: boolean;
  readonly rolling?: RollingState | undefined;
  readonly resume?: Extract<Resumption, { kind: 'resumable' }>;
}

export interface StreamCounts {
  readonly compared: boolean;
  readonly volumeBytes: number;
  readonly changedBytes: number;
  readonly chunks: number;
  readonly zeroChunks: number;
  readonly sentBytes: number;
  readonly rolling: RollingState | undefined;
}

export type Streamed =
  | ({ readonly kind: 'committed'; readonly head: NewHead } & StreamCounts)
  | ({ readonly kind: 'unchanged' } & StreamCounts);

/** The most that one send re-reads of the rolling pass, so that a day's budget does not come in one piece. */
const ROLLING_PER_SEND = 16 * 2 ** 20;

/** @throws for this volume; nothing of it is committed then */
export async function streamVolume(context: SendContext, request: StreamRequest): Promise<Streamed> {
  const { archive } = context;
  const { pool, tock, pending } = request;
  const ref = { volume: request.name, archive: pending.archive, pairing: pending.pairing };
  const snapshot = await pool.source.open(tock);
  let compared = request.compared || (request.map === undefined && request.base !== undefined);
  const outgoing = new Outgoing(archive.client, {
    volume: pending.volumeId,
    pairing: pending.pairing,
    base: request.base?.head.session ?? null,
    session: pending.session,
    size: tock.size,
    name: archive.state.record.encrypted ? null : pending.name,
    resume: request.resume !== undefined,
    keepCheckpoint: (address: number, { hashes, changedBytes }: CheckpointState) =>
      checkpointed(pool, ref, { address, changedBytes, compared }, hashes),
  });
  try {
    const { content, rolling, distrusted } = await prepare(context, request, snapshot);
    compared ||= distrusted;
    const { signal } = context;
    const tools = { content: archive.state.content, reader: archive.reader, pool: context.workers, outgoing, signal };
    const onProgress = (bytes: number) => {
      context.progress.add(bytes);
    };
    const sent = await sendContent(content, { ...tools, onProgress });
    await context.workers.closeFiles();
    await snapshot.close();
    const counts = countsOf(sent, tock, compared, outgoing, rolling);
    const sameSize = request.base?.head.size === tock.size;
    // A cut-off send that is taken up again may have sent all that there was.
    if (!outgoing.begun && sameSize && request.resume === undefined) return { kind: 'unchanged', ...counts };
    const head = await sign(context, request, sent, compared, outgoing);
    return { kind: 'committed', head, ...counts, sentBytes: outgoing.sentBytes };
  } catch (error) {
    await context.workers.closeFiles().catch(() => undefined);
    await snapshot.close().catch(() => undefined);
    await outgoing.abandon(true).catch(() => undefined);
    throw error;
  }
}

/** What is read: by the delta map where it is believed, else everything that is mapped. */
async function prepare(
  context: SendContext,
  request: StreamRequest,
  snapshot: OpenSnapshot,
): Promise<{ content: VolumeContent; rolling: RollingState | undefined; distrusted: boolean }> {
  const { archive, signal, workers } = context;
  const { base, tock, pool, resume } = request;
  const geometry = new Geometry(archive.state.record.chunkSize, snapshot.size);
  const content: VolumeContent = {
    volume: request.pending.volumeId,
    path: snapshot.path,
    geometry,
    marked: request.map,
    mapped: await pool.source.mapped(tock),
    base: base === undefined ? undefined : { session: base, index: await archive.reader.index(base) },
    ...(resume === undefined ? {} : { resume: resumeOf(resume, geometry) }),
  };
  context.progress.begin(request.name, workOf(content));
  if (content.base === undefined || request.map === undefined)
    return { content, rolling: undefined, distrusted: false };
  const common = Math.min(geometry.size, content.base.session.geometry.size);
  const sample = chooseSample({
    geometry: new Geometry(geometry.chunkSize, common),
    map: request.map,
    rolling: request.rolling,
    now: Date.now(),
    budget: budgetNow(request.rolling, context.rereadPerDay),
  });
  const trusted = await agrees({ ...content, base: content.base }, sample.ranges, {
    pool: workers,
    reader: archive.reader,
    signal,
  });
  if (trusted) return { content, rolling: sample.rolling, distrusted: false };
  context.log.error(
    { volume: request.name },
    `${request.name}: content changed where the delta says it did not; comparing the whole volume`,
  );
  // Durably, so that no later send believes it either.
  await mistrusted(pool, { volume: request.name, archive: request.pending.archive, pairing: request.pending.pairing });
  // What was sent before the interruption was chosen by that very delta.
  if (resume !== undefined) throw new SparsebakError('source', 'what it had sent was chosen by a delta that was wrong');
  return { content: { ...content, marked: undefined }, rolling: undefined, distrusted: true };
}

/** The day's budget, but no more in one send than is bearable. */
function budgetNow(rolling: RollingState | undefined, perDay: number): number {
  const today = Math.floor(Date.now() / 86_400_000);
  const spent = rolling?.day === today ? rolling.bytes : 0;
  return Math.min(perDay, spent + ROLLING_PER_SEND);
}

function resumeOf(
  resume: NonNullable<StreamRequest['resume']>,
  geometry: Geometry,
): NonNullable<VolumeContent['resume']> {
  const { checkpoint, pageHashes } = resume;
  return {
    range: Math.ceil(checkpoint.address / geometry.rangeBytes),
    index: pageHashes,
    changedBytes: checkpoint.changedBytes,
  };
}

/** Bytes that the progress counts up to. */
function workOf({ marked, mapped, geometry }: VolumeContent): number {
  if (marked !== undefined) {
    let chunks = 0;
    for (const run of marked.runs(0, geometry.chunkCount)) chunks += run.count;
    return Math.min(geometry.size, chunks * geometry.chunkSize);
  }
  return mapped.kind === 'all' ? geometry.size : mapped.ranges.reduce((sum, range) => sum + range.length, 0);
}

function countsOf(
  sent: VolumeSent,
  tock: SnapshotRef,
  compared: boolean,
  outgoing: Outgoing,
  rolling: RollingState | undefined,
): StreamCounts {
  const { changedBytes, chunks, zeroChunks } = sent;
  return { compared, volumeBytes: tock.size, changedBytes, chunks, zeroChunks, sentBytes: outgoing.sentBytes, rolling };
}

async function sign(
  context: SendContext,
  request: StreamRequest,
  sent: VolumeSent,
  compared: boolean,
  outgoing: Outgoing,
): Promise<NewHead> {
  const { content, settings, record } = context.archive.state;
  const { pending, tock, base } = request;
  const index = content.sealIndex(pending.volumeId, sent.index);
  const head = content.sealHead({
    archive: record.archive,
    volume: pending.volumeId,
    session: pending.session,
    writer: settings.writer,
    pairing: pending.pairing,
    sequence: pending.sequence,
    name: pending.name,
    size: tock.size,
    chunkSize: record.chunkSize,
    index: index.hash,
    time: pending.time,
    state: tock.state,
    base: base?.head.session ?? null,
    compared,
    changedBytes: sent.changedBytes,
  });
  context.signal.throwIfAborted();
  await outgoing.commit(index.stored, head.stored);
  const { volumeId, name, session, pairing } = pending;
  return { volumeId, name, session, pairing, hash: head.hash, tags: context.tags };
}

/** A volume's failure that must stop the whole send: the archive is not what it must be, or nobody answers any more. */
export function stopsEverything(error: SparsebakError): boolean {
  return ['rollback', 'integrity', 'unreachable', 'protocol', 'interrupted', 'no-space', 'refused'].includes(
    error.code,
  );
}
