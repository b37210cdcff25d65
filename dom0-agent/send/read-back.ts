/**
 * After a send, a part of each volume is read back through the receiver and proven, whether the volume changed or not:
 * a backup that cannot be read is found at once, not when it is needed. Of what was just sent, chunks are drawn at
 * random. Of the rest each volume has its turn (read-back-turns.ts): a few chunks per send, from where the last send
 * stopped, so that in time everything is read.
 */
import { randomInt } from 'node:crypto';
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { CHUNKS_PER_RANGE, type Geometry } from '../../shared/archive/address.ts';
import { SparsebakError, asSparsebakError, reportOf } from '../../shared/errors.ts';
import { PageIndex } from '../content/page-index.ts';
import { readContent, type ReadResult } from '../reading/read-content.ts';
import { noteDamage } from '../proven-archive/found-damage.ts';
import { noteProofs, type Proof } from '../proven-archive/proofs.ts';
import type { ProvenSession } from '../proven-archive/proven-reader.ts';
import { isVolumeError, namingVolume } from '../proven-archive/volume-error.ts';
import type { SendContext } from './send-context.ts';
import type { MarkedChunks } from './read-plan.ts';
import { ReadBackTurns, type Turn } from './read-back-turns.ts';
import type { VolumeReport } from './send-report.ts';

/** A volume whose newest session is read back. */
export interface ToReadBack {
  readonly name: string;
  readonly volume: VolumeId;
  readonly session: SessionName;
  /** The hash of the session's head. */
  readonly head: Uint8Array;
  /** Its head and index, if this send has already proven them. */
  readonly proven?: { readonly session: ProvenSession; readonly index: Uint8Array } | undefined;
  /** The chunks that this send has sent; `all` if it read everything, undefined for an unchanged volume. */
  readonly sent: MarkedChunks | 'all' | undefined;
}

/** How many chunks of those just sent are read back. */
const NEW_CHUNKS = 32;
/** How many ranges they are drawn from if the complete volume was sent: each costs a page. */
const NEW_RANGES = 4;
/** Volumes that are read back at the same time, so that their waits for the receiver overlap. */
const AT_ONCE = 4;

/** Reads back the volumes of a send; adds to their reports why they could not be proven. */
export async function readBackAll(
  context: SendContext,
  volumes: readonly ToReadBack[],
  reports: VolumeReport[],
): Promise<void> {
  const { folder, record } = context.archive.state;
  const turns = new ReadBackTurns(folder, record.chunkSize);
  const proofs = new Map<VolumeId, Proof>();
  const waiting = turns.inOrder(volumes);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (context.archive.client.failure !== undefined) return;
      const { volume, turn } = next;
      if (volume.sent === undefined && turn.chunks === 0) continue;
      const { error, chunks } = await readBack(context, volume, turn);
      if (error === undefined && chunks > 0) {
        proofs.set(volume.volume, { session: volume.session, time: Date.now(), chunks });
      }
      if (error !== undefined) addError(context, reports, volume.name, error);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  noteProofs(folder, 'sample', proofs);
  turns.save();
}

function addError({ log }: SendContext, reports: VolumeReport[], name: string, error: SparsebakError): void {
  const at = reports.findIndex((report) => report.name === name);
  const report = reports[at];
  if (report === undefined) log.error({ volume: name }, error.message);
  else if (report.error === undefined) reports[at] = { ...report, error: reportOf(error) };
}

interface ReadBack {
  /** How many chunks were proven. */
  readonly chunks: number;
  /** Why the session could not be proven. */
  readonly error?: SparsebakError;
}

async function readBack(context: SendContext, target: ToReadBack, turn: Turn): Promise<ReadBack> {
  const { archive, log, signal } = context;
  const { name, volume, session: of, sent } = target;
  const proves = sent === undefined ? 'what earlier sends stored' : 'what was just sent';
  try {
    const session = target.proven?.session ?? (await archive.reader.head(volume, of, target.head));
    const index = target.proven?.index ?? (await archive.reader.index(session)).hashes;
    const some = { session, index };
    const drawn = sent === undefined ? new Set<number>() : chooseSent(session.geometry, sent);
    const results = [...(await readDrawn(context, some, drawn)), ...(await readTurn(context, some, turn, drawn))];
    const ranges = new Set(results.flatMap(({ badRanges }) => [...badRanges]));
    if (ranges.size > 0) noteDamage(archive.state.folder, volume, of, ranges);
    const [bad] = results.flatMap((result) => result.bad);
    if (bad !== undefined) throw new SparsebakError('integrity', `chunk at ${bad.address}: ${bad.reason}`);
    return { chunks: results.reduce((sum, { chunks }) => sum + chunks, 0) };
  } catch (caught) {
    if (signal.aborted || !isVolumeError(caught, archive.client) || caught.code !== 'integrity') {
      // Only a warning: the session is committed.
      log.warn({ volume: name }, `${name}: could not be read back: ${asSparsebakError(caught).message}`);
      return { chunks: 0 };
    }
    const { message } = caught;
    const hint =
      'Run "sparsebak verify ' +
      `${name}", and "sparsebak-receiver scrub" in the backup VM. The next send sends again what is damaged.`;
    const error = new SparsebakError('integrity', `${proves} cannot be read back: ${message}`, { cause: caught });
    return { chunks: 0, error: namingVolume(error, { id: volume, name, session: of, hint }) };
  }
}

interface Session {
  readonly session: ProvenSession;
  readonly index: Uint8Array;
}

/** Ranges with data that one turn may read from: each costs a page. */
const TURN_RANGES = 4;

/**
 * The volume's turn: continues where the last send stopped, for the turn's number of chunks with data, past the end at
 * most once.
 */
async function readTurn(
  context: SendContext,
  { session, index }: Session,
  turn: Turn,
  drawn: ReadonlySet<number>,
): Promise<ReadResult[]> {
  const { geometry } = session;
  const pages = new PageIndex(index);
  const results: ReadResult[] = [];
  let left = turn.chunks;
  let first = turn.from < geometry.chunkCount ? turn.from : 0;
  let mayTurn = first > 0;
  for (let touched = 0; left > 0 && touched < TURN_RANGES;) {
    if (first >= geometry.chunkCount) {
      if (!mayTurn) break;
      mayTurn = false;
      first = 0;
    }
    const range = geometry.rangeOf(first);
    const from = first;
    first = (range + 1) * CHUNKS_PER_RANGE;
    if (pages.isZero(range)) continue;
    touched++;
    const wanted = (chunk: number): boolean => {
      if (chunk < from || left === 0 || drawn.has(chunk)) return false;
      left--;
      if (left === 0) first = chunk + 1;
      return true;
    };
    const request = { session, target: null, index, ranges: new Set([range]), wanted };
    results.push(await readContent(request, servicesOf(context)));
  }
  turn.from = first < geometry.chunkCount ? first : 0;
  return results;
}

async function readDrawn(
  context: SendContext,
  { session, index }: Session,
  chunks: ReadonlySet<number>,
): Promise<ReadResult[]> {
  if (chunks.size === 0) return [];
  const ranges = new Set([...chunks].map((chunk) => session.geometry.rangeOf(chunk)));
  const wanted = (chunk: number): boolean => chunks.has(chunk);
  return [await readContent({ session, target: null, index, ranges, wanted }, servicesOf(context))];
}

function servicesOf({ archive: { client, reader }, workers, signal }: SendContext) {
  return { client, reader, workers, signal, onProgress: () => undefined };
}

/** Chooses some of the chunks that were just sent; if that is a complete volume, from few ranges. */
export function chooseSent(geometry: Geometry, sent: MarkedChunks | 'all'): Set<number> {
  const { chunkCount, rangeCount } = geometry;
  if (chunkCount === 0) return new Set();
  if (sent !== 'all') return new Set(drawnFrom(sent, chunkCount));
  const chosen = new Set<number>();
  for (let drawn = 0; drawn < NEW_RANGES; drawn++) {
    const range = randomInt(rangeCount);
    const entries = geometry.entriesOf(range);
    for (let each = 0; each < NEW_CHUNKS / NEW_RANGES; each++)
      chosen.add(range * CHUNKS_PER_RANGE + randomInt(entries));
  }
  return chosen;
}

/** Draws chunks from the runs with equal probability, in one pass. */
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
