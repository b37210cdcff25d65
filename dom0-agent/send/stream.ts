/**
 * Sends one volume from its snapshot to the receiver's `committed`: opens it, checks a sample against the base, streams
 * and closes it (a source that cannot freeze reports here whether the content changed), and signs the head.
 */
import { SparsebakError } from '../../shared/errors.ts';
import { checkpointed } from '../capture/resumption.ts';
import type { RollingState } from '../capture/sample.ts';
import type { SnapshotRef } from '../source/source.ts';
import { namingVolume } from '../proven-archive/volume-error.ts';
import type { SendContext, StreamRequest } from './send-context.ts';
import type { NewHead } from './new-catalogue.ts';
import { Outgoing, type CheckpointState } from './outgoing-volume.ts';
import { prepare } from './prepare.ts';
import type { Repaired } from './repair.ts';
import type { VolumeContent } from './volume-content.ts';
import { sendContent, type VolumeSent } from './volume-send.ts';

export interface StreamCounts {
  readonly compared: boolean;
  readonly volumeBytes: number;
  readonly changedBytes: number;
  readonly chunks: number;
  readonly zeroChunks: number;
  readonly sentBytes: number;
  readonly rolling: RollingState | undefined;
  readonly repaired: Repaired;
  /** Damage to the base; the affected parts were sent again. */
  readonly fault: SparsebakError | undefined;
}

export type Streamed =
  | ({ readonly kind: 'committed'; readonly head: NewHead } & StreamCounts)
  | ({ readonly kind: 'unchanged'; readonly base: NonNullable<VolumeContent['base']> } & StreamCounts);

/** @throws for this volume, which is then not committed */
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
    const faults = new BaseFaults();
    const onFault = (found: SparsebakError) => {
      faults.add(found);
    };
    const { content, rolling, distrusted, repaired } = await prepare(context, request, snapshot, onFault);
    compared ||= distrusted;
    const { signal, pace } = context;
    const services = {
      content: archive.state.content,
      reader: archive.reader,
      workers: context.workers,
      outgoing,
      signal,
      pace,
    };
    const onProgress = (bytes: number) => {
      context.progress.add(bytes);
    };
    const onSkipped = (bytes: number) => {
      context.progress.skip(bytes);
    };
    const sent = await sendContent(content, { ...services, onProgress, onSkipped, onFault });
    context.progress.finish();
    await context.workers.closeFiles();
    await snapshot.close();
    const fault = faults.asError(request);
    const counts = { ...countsOf(sent, tock, compared, outgoing, rolling), repaired, fault };
    // A resumed send may have sent everything before the interruption; a damaged base must be replaced by a new
    // session.
    const mustCommit = outgoing.begun || request.resume !== undefined || fault !== undefined;
    const { base } = content;
    if (!mustCommit && base?.session.head.size === tock.size) return { kind: 'unchanged', base, ...counts };
    const head = await sign(context, request, sent, compared, outgoing);
    return { kind: 'committed', head, ...counts, sentBytes: outgoing.sentBytes };
  } catch (error) {
    await context.workers.closeFiles().catch(() => undefined);
    await snapshot.close().catch(() => undefined);
    await outgoing.abandon(true).catch(() => undefined);
    throw error;
  }
}

/** Collects damage to the base into one error, however many pages it concerns. */
class BaseFaults {
  #first: SparsebakError | undefined;
  #count = 0;

  add(found: SparsebakError): void {
    this.#first ??= found;
    this.#count++;
  }

  asError({ name, pending, base }: StreamRequest): SparsebakError | undefined {
    if (this.#first === undefined) return undefined;
    const { code, message } = this.#first;
    const more = this.#count > 1 ? `, and ${this.#count - 1} more like this` : '';
    const error = new SparsebakError(code, `${message}${more}; what that affects was sent again`, {
      cause: this.#first,
    });
    const hint =
      'The newest session is intact again. ' + `"sparsebak verify ${name} --all-sessions" shows which older ones are.`;
    return namingVolume(error, { id: pending.volumeId, name, session: base?.head.session, hint });
  }
}

function countsOf(
  sent: VolumeSent,
  tock: SnapshotRef,
  compared: boolean,
  outgoing: Outgoing,
  rolling: RollingState | undefined,
): Omit<StreamCounts, 'repaired' | 'fault'> {
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

/** Whether a failure ends the send of all volumes: the receiver no longer answers, or has no space. */
export function endsTheSend(error: SparsebakError): boolean {
  return ['unreachable', 'protocol', 'interrupted', 'no-space'].includes(error.code);
}
