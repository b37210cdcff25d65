/**
 * Decides what a send of a volume reads: the delta map is checked against a sample of the base, and if it is not
 * reliable everything that is mapped is read.
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

/**
 * Marked chunks up to this many bytes are read at once: asking the source which of them are mapped would take longer.
 */
const WORTH_ASKING = 64 * 2 ** 20;

/** Bytes that one send re-reads at most for the rolling pass, so that a day's budget is not spent at once. */
const ROLLING_PER_SEND = 16 * 2 ** 20;

export interface Prepared {
  readonly content: VolumeContent;
  readonly rolling: RollingState | undefined;
  readonly distrusted: boolean;
  readonly repaired: Repaired;
}

/**
 * What is read: by the delta map if it is reliable, otherwise everything that is mapped.
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
  // Durable, so that no later send uses it either.
  await mistrusted(pool, { volume: request.name, archive: request.pending.archive, pairing: request.pending.pairing });
  // What was sent before the interruption was chosen by the same delta.
  if (resume !== undefined) throw new SparsebakError('source', 'the part that it sent was chosen by a wrong delta');
  const everything = { ...content, marked: undefined, mapped: await pool.source.mapped(tock) };
  return { ...prepared, content: everything, distrusted: true };
}

/** What is left of the day's budget, up to the limit of one send. */
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

/** Bytes of the marked chunks; of all chunks if there are no marks. */
export function bytesOf(marked: MarkedChunks | undefined, geometry: Geometry): number {
  if (marked === undefined) return geometry.size;
  let chunks = 0;
  for (const run of marked.runs(0, geometry.chunkCount)) chunks += run.count;
  return Math.min(geometry.size, chunks * geometry.chunkSize);
}

/** Bytes to read, in whole chunks; marked chunks without content still count. */
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
