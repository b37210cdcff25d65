/**
 * After a send some of what was committed is read back through the receiver and proven, with some of what older sessions
 * hold: a backup that cannot be read is found at once, and not when it is needed.
 */
import { randomInt } from 'node:crypto';
import { CHUNKS_PER_RANGE, type Geometry } from '../../shared/archive/address.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { readContent, type ReadTools } from '../restore/read-content.ts';
import { noteDamage } from '../trust/found-damage.ts';
import { noteProof } from '../trust/proofs.ts';
import type { SendStart } from '../capture/begin-send.ts';
import type { SendContext } from './context.ts';
import type { NewHead } from './new-catalogue.ts';
import type { MarkedChunks } from './plan.ts';
import type { VolumeReport } from './report.ts';

/** Chunks that the delta names, and others; the others lie in few ranges, since each costs a page. */
const NEW_CHUNKS = 32;
const OLD_CHUNKS = 32;
const OLD_RANGES = 4;

/** Reads back each volume that was committed; adds to its report why it could not be proven. */
export async function readBackAll(
  context: SendContext,
  starts: ReadonlyMap<string, SendStart>,
  heads: readonly NewHead[],
  reports: VolumeReport[],
): Promise<void> {
  for (const head of heads) {
    if (context.archive.client.failure !== undefined) return;
    const at = reports.findIndex(({ name }) => name === head.name);
    const start = starts.get(head.name);
    const report = reports[at];
    const marked = start?.kind === 'begun' && report?.compared === false ? start.map : null;
    const error = await readBack(context, head, marked ?? undefined);
    if (error === undefined || report === undefined) continue;
    context.log.error({ volume: head.name }, `${head.name}: ${error.message}`);
    reports[at] = { ...report, error: { code: error.code, message: error.message } };
  }
}

/**
 * @param marked what the send looked at; undefined: everything
 * @returns why the session is not what it must be; undefined where the sample is proven
 */
async function readBack(
  { archive, workers, signal, log }: SendContext,
  { volumeId, name, session, hash }: NewHead,
  marked: MarkedChunks | undefined,
): Promise<SparsebakError | undefined> {
  const tools: ReadTools = {
    ...{ client: archive.client, reader: archive.reader, pool: workers, signal },
    onProgress: () => undefined,
  };
  try {
    const proven = await archive.reader.head(volumeId, session, hash);
    const chunks = chooseReadBack(proven.geometry, marked);
    const ranges = new Set([...chunks].map((chunk) => Math.floor(chunk / CHUNKS_PER_RANGE)));
    const wanted = (chunk: number): boolean => chunks.has(chunk);
    const result = await readContent({ session: proven, target: null, ranges, wanted }, tools);
    if (result.badChunks > 0) noteDamage(archive.state.folder, volumeId, session, result.badRanges);
    const [bad] = result.bad;
    if (bad !== undefined) throw new SparsebakError('integrity', `chunk at ${bad.address}: ${bad.reason}`);
    noteProof(archive.state.folder, volumeId, 'sample', { session, time: Date.now(), chunks: result.chunks });
    return undefined;
  } catch (caught) {
    const error = asSparsebakError(caught);
    if (error.code === 'integrity') {
      return new SparsebakError('integrity', `what was just sent cannot be read back: ${error.message}`, {
        hint: `Run "sparsebak verify ${name}" and "sparsebak-receiver scrub".`,
        cause: error,
      });
    }
    // It is committed, and that is what a send is for.
    log.warn({ volume: name }, `${name}: could not be read back: ${error.message}`);
    return undefined;
  }
}

export function chooseReadBack(geometry: Geometry, marked: MarkedChunks | undefined): Set<number> {
  const { chunkCount, rangeCount } = geometry;
  const chosen = new Set<number>(marked === undefined ? [] : drawnFrom(marked, chunkCount));
  if (chunkCount === 0) return chosen;
  const old = OLD_CHUNKS + (marked === undefined ? NEW_CHUNKS : 0);
  for (let drawn = 0; drawn < OLD_RANGES; drawn++) {
    const range = randomInt(rangeCount);
    const entries = geometry.entriesOf(range);
    for (let each = 0; each < old / OLD_RANGES; each++) chosen.add(range * CHUNKS_PER_RANGE + randomInt(entries));
  }
  return chosen;
}

/** Chunks of runs that were each as likely to be drawn, in one pass. */
function drawnFrom(marked: MarkedChunks, chunkCount: number): number[] {
  const drawn: number[] = [];
  let seen = 0;
  for (const { first, count } of marked.runs(0, chunkCount)) {
    const place = drawn.length < NEW_CHUNKS ? drawn.length : randomInt(seen + 1);
    if (place < NEW_CHUNKS) drawn[place] = first + randomInt(count);
    seen++;
  }
  return drawn;
}
