/**
 * What a send of a volume reads: the delta is held against a sample of the base, and where it cannot be believed
 * everything that is mapped is looked at.
 */
import { Geometry } from '../../shared/archive/address.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { mistrusted } from '../capture/conclude.ts';
import { chooseSample, type RollingState } from '../capture/sample.ts';
import type { OpenSnapshot } from '../source/source.ts';
import type { MarkedChunks } from './read-plan.ts';
import { leansOn, leansOnLost, openBase } from './open-base.ts';
import type { Repaired } from './repair.ts';
import { compareSample } from './sampled.ts';
import type { SendContext, StreamRequest } from './send-context.ts';
import type { VolumeContent } from './volume-content.ts';

/** Bytes of marked chunks that are read sooner than a source has told which of them have anything in them. */
const WORTH_ASKING = 64 * 2 ** 20;

/** The most that one send re-reads of the rolling pass, so that a day's budget does not come in one piece. */
const ROLLING_PER_SEND = 16 * 2 ** 20;

export interface Prepared {
  readonly content: VolumeContent;
  readonly rolling: RollingState | undefined;
  readonly distrusted: boolean;
  readonly repaired: Repaired;
}

/**
 * What is read: by the delta map where it is believed, else everything that is mapped.
 * @param onFault damage to the base: what it affects is sent again
 */
export async function prepare(
  context: SendContext,
  request: StreamRequest,
  snapshot: OpenSnapshot,
  onFault: (fault: SparsebakError) => void,
): Promise<Prepared> {
  const { archive, signal, workers } = context;
  const { tock, pool, resume } = request;
  const geometry = new Geometry(archive.state.record.chunkSize, snapshot.size);
  const { base, lostPages, repaired } = await openBase(context, request, snapshot, onFault);
  const content: VolumeContent = {
    volume: request.pending.volumeId,
    name: request.name,
    path: snapshot.path,
    geometry,
    marked: request.map,
    mapped:
      bytesOf(request.map, geometry) + lostPages.size * geometry.rangeBytes < WORTH_ASKING
        ? { kind: 'all' }
        : await pool.source.mapped(tock),
    base,
    lostPages,
    ...(resume === undefined ? {} : { resume: resumeOf(resume, geometry) }),
  };
  if (base?.isMissing !== true && leansOn(content, lostPages)) throw leansOnLost();
  context.progress.start(request.name, workOf(content));
  const prepared = { content, rolling: undefined, distrusted: false, repaired };
  if (base === undefined || request.map === undefined) return prepared;
  const common = Math.min(geometry.size, base.session.geometry.size);
  const sample = chooseSample({
    geometry: new Geometry(geometry.chunkSize, common),
    map: request.map,
    rolling: request.rolling,
    now: Date.now(),
    budget: budgetNow(request.rolling, context.rereadPerDay),
  });
  const comparable = sample.ranges.filter(({ range }) => !lostPages.has(range));
  const services = { workers, reader: archive.reader, signal, onFault };
  const { agrees, lost } = await compareSample({ ...content, base }, comparable, services);
  if (agrees) {
    if (leansOn(content, new Set(lost))) throw leansOnLost();
    return {
      ...prepared,
      content: { ...content, lostPages: new Set([...lostPages, ...lost]) },
      rolling: sample.rolling,
    };
  }
  context.log.error(
    { volume: request.name },
    `${request.name}: content changed where the delta says it did not; comparing the whole volume`,
  );
  // Durably, so that no later send believes it either.
  await mistrusted(pool, { volume: request.name, archive: request.pending.archive, pairing: request.pending.pairing });
  // What was sent before the interruption was chosen by that very delta.
  if (resume !== undefined) throw new SparsebakError('source', 'what it had sent was chosen by a delta that was wrong');
  const everything = { ...content, marked: undefined, mapped: await pool.source.mapped(tock) };
  return { ...prepared, content: everything, distrusted: true };
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

/** Bytes of the marked chunks; of all where none are marked. */
export function bytesOf(marked: MarkedChunks | undefined, geometry: Geometry): number {
  if (marked === undefined) return geometry.size;
  let chunks = 0;
  for (const run of marked.runs(0, geometry.chunkCount)) chunks += run.count;
  return Math.min(geometry.size, chunks * geometry.chunkSize);
}

/** Bytes that are read, in whole chunks; of marked ones those without content are still counted. */
function workOf({ marked, mapped, geometry }: VolumeContent): number {
  if (marked !== undefined || mapped.kind === 'all') return bytesOf(marked, geometry);
  let chunks = 0;
  let next = 0;
  for (const { offset, length } of mapped.ranges) {
    const end = Math.min(geometry.chunkCount, Math.ceil((offset + length) / geometry.chunkSize));
    const first = Math.max(next, geometry.chunkAt(offset));
    chunks += Math.max(0, end - first);
    next = Math.max(next, end);
  }
  return Math.min(geometry.size, chunks * geometry.chunkSize);
}
