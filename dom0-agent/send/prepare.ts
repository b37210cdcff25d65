/**
 * What a send of a volume reads: known damage is put right, then the delta is held against a sample of the base. Where it
 * cannot be believed, everything that is mapped is looked at.
 */
import { Geometry } from '../../shared/archive/address.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { newEntries } from '../content/node.ts';
import { PageIndex } from '../content/page-index.ts';
import { foundDamage } from '../trust/found-damage.ts';
import type { ProvenReader, ProvenSession } from '../trust/proven-reader.ts';
import { mistrusted } from '../capture/conclude.ts';
import { chooseSample, type RollingState } from '../capture/sample.ts';
import type { OpenSnapshot } from '../source/source.ts';
import type { MarkedChunks } from './plan.ts';
import { repair, type Repaired } from './repair.ts';
import { compareSample } from './sampled.ts';
import type { SendContext, StreamRequest } from './context.ts';
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

const NOTHING: Repaired = { mended: 0, lost: 0, lostPages: new Set() };

/**
 * What is read: by the delta map where it is believed, else everything that is mapped.
 * @param onFault damage to the base: what it hurts is sent anew
 */
export async function prepare(
  context: SendContext,
  request: StreamRequest,
  snapshot: OpenSnapshot,
  onFault: (fault: SparsebakError) => void,
): Promise<Prepared> {
  const { archive, signal, workers } = context;
  const { base: session, tock, pool, resume } = request;
  const geometry = new Geometry(archive.state.record.chunkSize, snapshot.size);
  const base = session === undefined ? undefined : await baseOf(archive.reader, session, onFault);
  // Which of the base's pages are lost nobody can tell, and what the checkpoint covers may lean on them.
  if (base?.isLost === true && resume !== undefined && !isAllSent(resume)) {
    throw leansOnLost();
  }
  const repaired =
    base === undefined || base.isLost ? NOTHING : await repairKnown(context, request.name, { ...snapshot, base });
  const lostPages =
    base?.isLost === true
      ? everyRange(base.session.geometry)
      : new Set([...repaired.lostPages, ...foundBefore(context, request, base?.session)]);
  const content: VolumeContent = {
    volume: request.pending.volumeId,
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
  context.progress.begin(request.name, workOf(content));
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
  const tools = { pool: workers, reader: archive.reader, signal, onFault };
  const { agrees, lost } = await compareSample({ ...content, base }, comparable, tools);
  if (agrees) {
    const all = new Set([...lostPages, ...lost]);
    if (leansOn(content, all)) throw leansOnLost();
    return { ...prepared, content: { ...content, lostPages: all }, rolling: sample.rolling };
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

/** Ranges that verify or the read-back found damaged in the base: sent anew, whatever the receiver knows of them. */
function foundBefore(
  { archive, log }: SendContext,
  { name, resume, pending }: StreamRequest,
  base: ProvenSession | undefined,
): ReadonlySet<number> {
  if (base === undefined) return new Set();
  const found = foundDamage(archive.state.folder, pending.volumeId, base.head.session);
  const from = resume === undefined ? 0 : Math.ceil(resume.checkpoint.address / base.geometry.rangeBytes);
  if ([...found].some((range) => range < from)) throw leansOnLost();
  if (found.size > 0) {
    log.warn({ volume: name }, `${name}: what was found damaged in ${base.head.session} is sent anew`);
  }
  return found;
}

interface FoundBase {
  readonly session: ProvenSession;
  readonly index: Uint8Array;
  /** Nothing is known of its content: all of the volume is sent anew. */
  readonly isLost: boolean;
}

async function baseOf(
  reader: ProvenReader,
  session: ProvenSession,
  onFault: (fault: SparsebakError) => void,
): Promise<FoundBase> {
  try {
    const { hashes, fault } = await reader.index(session);
    if (fault !== undefined) onFault(fault);
    return { session, index: hashes, isLost: false };
  } catch (error) {
    if (!(error instanceof SparsebakError) || error.code !== 'integrity') throw error;
    onFault(error);
    return { session, index: newEntries(session.geometry.rangeCount), isLost: true };
  }
}

function everyRange({ rangeCount }: Geometry): ReadonlySet<number> {
  return new Set(Array.from({ length: rangeCount }, (_, range) => range));
}

/** What the receiver's scrub found is offered again, where the snapshot still has it; the send goes on whatever comes of it. */
async function repairKnown(
  { archive, workers, signal, log }: SendContext,
  name: string,
  what: Parameters<typeof repair>[0],
): Promise<Repaired> {
  const { client, reader, state } = archive;
  const repaired = await repair(what, { client, reader, content: state.content, pool: workers, signal });
  const { mended, lost } = repaired;
  if (mended > 0) log.warn({ volume: name }, `${name}: ${mended} damaged objects of the archive were made again`);
  if (lost > 0) {
    log.error(
      { volume: name },
      `${name}: ${lost} damaged objects of older sessions could not be made again; "sparsebak verify --all-sessions" tells which sessions are whole`,
    );
  }
  return repaired;
}

/** The day's budget, but no more in one send than is bearable. */
function budgetNow(rolling: RollingState | undefined, perDay: number): number {
  const today = Math.floor(Date.now() / 86_400_000);
  const spent = rolling?.day === today ? rolling.bytes : 0;
  return Math.min(perDay, spent + ROLLING_PER_SEND);
}

/** Whether nothing below the checkpoint was left to the base. */
function isAllSent({ checkpoint, tock }: NonNullable<StreamRequest['resume']>): boolean {
  return checkpoint.changedBytes >= Math.min(checkpoint.address, tock.size);
}

/** Whether a page that is lost stands, unsent, below where a cut-off send goes on. */
function leansOn({ resume, base }: VolumeContent, lost: ReadonlySet<number>): boolean {
  const sent = new PageIndex(resume?.index);
  const old = new PageIndex(base?.index);
  return [...lost].some(
    (range) => range < (resume?.range ?? 0) && Buffer.compare(sent.hash(range), old.hash(range)) === 0,
  );
}

/** The volume is then sent from its beginning. */
function leansOnLost(): SparsebakError {
  return new SparsebakError('source', 'pages that it leans on are lost from the archive');
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

function bytesOf(marked: MarkedChunks | undefined, geometry: Geometry): number {
  if (marked === undefined) return geometry.size;
  let chunks = 0;
  for (const run of marked.runs(0, geometry.chunkCount)) chunks += run.count;
  return Math.min(geometry.size, chunks * geometry.chunkSize);
}

/** Bytes that the progress counts up to. */
function workOf({ marked, mapped, geometry }: VolumeContent): number {
  if (marked !== undefined) return bytesOf(marked, geometry);
  return mapped.kind === 'all' ? geometry.size : mapped.ranges.reduce((sum, range) => sum + range.length, 0);
}
