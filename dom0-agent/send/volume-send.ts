/**
 * Sends one volume's content: workers read, identify and seal the planned chunks, which are sent in order; pages and
 * index follow. Only this file decides what the new head will sign.
 */
import { CHUNKS_PER_RANGE, type Geometry } from '../../shared/archive/address.ts';
import { asSparsebakError } from '../../shared/errors.ts';
import { isZeroBytes } from '../content/bytes.ts';
import { IDENTITY, jobFile, type JobFile, type SealResult } from '../pipeline/jobs.ts';
import { OrderedQueue } from '../pipeline/ordered-queue.ts';
import type { JobBuffer } from '../pipeline/worker-group.ts';
import { PageIndex } from '../content/page-index.ts';
import { plannedPages } from './planned-pages.ts';
import type { RangeStep } from './read-plan.ts';
import type { VolumeContent, VolumeServices } from './volume-content.ts';

export interface VolumeSent {
  /** The complete new index. */
  readonly index: Uint8Array;
  readonly changedBytes: number;
  readonly chunks: number;
  readonly zeroChunks: number;
}

/** A range being worked on: the base's identities and the new ones. */
interface OpenRange {
  readonly range: number;
  readonly old: Uint8Array;
  readonly entries: Uint8Array;
}

type Step =
  | {
      readonly kind: 'sealed';
      readonly buffer: JobBuffer;
      readonly result: Promise<SealResult>;
      readonly at: number;
      readonly count: number;
      readonly open: OpenRange;
    }
  | { readonly kind: 'zeros'; readonly first: number; readonly count: number }
  | { readonly kind: 'unmapped'; readonly bytes: number }
  | { readonly kind: 'range-end'; readonly open: OpenRange };

/** The most steps that may wait: jobs are limited by their buffers, the pages between them by this number. */
const QUEUED_STEPS = 64;

export async function sendContent(volume: VolumeContent, services: VolumeServices): Promise<VolumeSent> {
  const index = new PageIndex(volume.base?.index);
  if (volume.resume !== undefined) {
    for (let range = 0; range < volume.resume.range; range++) {
      index.set(range, volume.resume.index.subarray(range * 32, (range + 1) * 32));
    }
  }
  const totals = { changedBytes: volume.resume?.changedBytes ?? 0, chunks: 0, zeroChunks: 0 };
  const queue = new OrderedQueue<Step>(QUEUED_STEPS);
  const produced = produce(volume, services, queue).then(
    () => {
      queue.end();
    },
    (error: unknown) => {
      queue.end(asSparsebakError(error));
    },
  );
  try {
    for (let step = await queue.shift(); step !== undefined; step = await queue.shift()) {
      services.signal.throwIfAborted();
      await consume(step, volume, services, index, totals);
    }
  } finally {
    // Buffers of abandoned jobs are released when their workers have finished with them.
    for (const step of queue.abort()) {
      if (step.kind === 'sealed')
        await step.result
          .catch(() => undefined)
          .then(() => {
            services.workers.release(step.buffer);
          });
    }
    await produced;
  }
  return { index: index.entries(volume.geometry.rangeCount), ...totals };
}

/** Walks the plan and starts the work, as far ahead as buffers and queue allow. */
async function produce(volume: VolumeContent, services: VolumeServices, queue: OrderedQueue<Step>): Promise<void> {
  const file = jobFile(volume.path, volume.name);
  for await (const { step, old } of plannedPages(volume, services.reader, services.onFault)) {
    if (step.kind === 'unmapped-ranges') {
      const first = step.first * CHUNKS_PER_RANGE;
      const count = Math.min(volume.geometry.chunkCount, (step.first + step.count) * CHUNKS_PER_RANGE) - first;
      if (!(await queue.push({ kind: 'zeros', first, count }))) return;
      continue;
    }
    const entries = new Uint8Array(volume.geometry.entriesOf(step.range) * IDENTITY);
    entries.set(old.subarray(0, entries.length));
    const open: OpenRange = { range: step.range, old, entries };
    for (const part of step.steps) {
      if (!(await produceStep(part, open, volume, services, file, queue))) return;
    }
    if (!(await queue.push({ kind: 'range-end', open }))) return;
  }
}

async function produceStep(
  step: RangeStep,
  open: OpenRange,
  volume: VolumeContent,
  services: VolumeServices,
  file: JobFile,
  queue: OrderedQueue<Step>,
): Promise<boolean> {
  const { geometry } = volume;
  if (step.kind === 'unmapped') return produceUnmapped(step.first, step.count, open, geometry, queue);
  const known = knownChunks(volume);
  const end = step.first + step.count;
  for (let first = step.first; first < end;) {
    // A job's chunks are either all known or all unknown: those past the base's end are always sent.
    const limit = first < known ? Math.min(end, known) : end;
    const count = Math.min(services.workers.chunksPerJob, limit - first);
    const at = (first - open.range * CHUNKS_PER_RANGE) * IDENTITY;
    const buffer = await services.workers.acquire();
    const result = services.workers.seal(buffer, {
      kind: 'seal',
      file,
      size: geometry.size,
      firstChunk: first,
      count,
      known: first < known ? knownIdentities(volume, open, at, count) : null,
    });
    if (!(await queue.push({ kind: 'sealed', buffer, result, at, count, open }))) {
      await result.catch(() => undefined);
      services.workers.release(buffer);
      return false;
    }
    first += count;
  }
  return true;
}

/** The number of chunks whose old content is known from the base; in a first full send all are known to be zeros. */
function knownChunks(volume: VolumeContent): number {
  return volume.base === undefined ? volume.geometry.chunkCount : volume.base.session.geometry.chunkCount;
}

function knownIdentities(volume: VolumeContent, open: OpenRange, at: number, count: number): Uint8Array {
  if (volume.base === undefined) return new Uint8Array(count * IDENTITY);
  // A copy: the job's message must not carry the whole page.
  return open.old.slice(at, at + count * IDENTITY);
}

/** Unmapped chunks, which are zeros: sent if the base has other content there, or none. */
async function produceUnmapped(
  first: number,
  count: number,
  open: OpenRange,
  geometry: Geometry,
  queue: OrderedQueue<Step>,
): Promise<boolean> {
  const rangeFirst = open.range * CHUNKS_PER_RANGE;
  let run = 0;
  for (let chunk = first; chunk <= first + count; chunk++) {
    const at = (chunk - rangeFirst) * IDENTITY;
    const send = chunk < first + count && (at >= open.old.length || !isZeroBytes(open.old.subarray(at, at + IDENTITY)));
    if (send) {
      open.entries.fill(0, at, at + IDENTITY);
      run++;
    } else if (run > 0) {
      if (!(await queue.push({ kind: 'zeros', first: chunk - run, count: run }))) return false;
      run = 0;
    }
  }
  return queue.push({ kind: 'unmapped', bytes: count * geometry.chunkSize });
}

async function consume(
  step: Step,
  volume: VolumeContent,
  services: VolumeServices,
  index: PageIndex,
  totals: { changedBytes: number; chunks: number; zeroChunks: number },
): Promise<void> {
  switch (step.kind) {
    case 'sealed': {
      try {
        const result = await step.result;
        step.open.entries.set(step.buffer.identities.subarray(0, step.count * IDENTITY), step.at);
        if (result.frameBytes > 0) await services.outgoing.frames(step.buffer.data.subarray(0, result.frameBytes));
        totals.changedBytes += result.changedBytes;
        totals.chunks += result.chunks;
        totals.zeroChunks += result.zeroChunks;
        services.onProgress(result.readBytes);
        await services.pace.spend(result.readBytes, services.signal);
      } finally {
        services.workers.release(step.buffer);
      }
      return;
    }
    case 'zeros': {
      await services.outgoing.zeros(volume.geometry.address(step.first), step.count);
      totals.zeroChunks += step.count;
      totals.changedBytes += zeroBytesChanged(step, volume.geometry);
      return;
    }
    case 'unmapped':
      // Without marks only mapped chunks count as work.
      if (volume.marked !== undefined) services.onSkipped(step.bytes);
      return;
    case 'range-end':
      await endRange(step.open, volume, services, index, totals.changedBytes);
  }
}

function zeroBytesChanged({ first, count }: { first: number; count: number }, geometry: Geometry): number {
  return Math.min(geometry.size, (first + count) * geometry.chunkSize) - first * geometry.chunkSize;
}

async function endRange(
  open: OpenRange,
  volume: VolumeContent,
  services: VolumeServices,
  index: PageIndex,
  changedBytes: number,
): Promise<void> {
  if (Buffer.compare(open.entries, open.old) !== 0) {
    const { stored, hash } = services.content.sealPage(volume.volume, open.range, open.entries);
    // An all-zero page is not stored. It may be the only change (of a volume that was cut short), so it must begin the
    // send as well.
    if (stored === undefined) await services.outgoing.ready();
    else await services.outgoing.page(open.range, stored);
    index.set(open.range, hash);
  }
  const next = open.range + 1;
  await services.outgoing.checkpointIfDue(next * volume.geometry.rangeBytes, () => ({
    hashes: index.below(next),
    changedBytes,
  }));
}
