/** Checks every delta: some chunks that it does not mark are read again, and must still be equal to the base. */
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import { isIntegrity, SparsebakError } from '../../shared/errors.ts';
import type { ChunkRun } from '../capture/delta-map.ts';
import type { RangeSample } from '../capture/sample.ts';
import { IDENTITY, jobFile, type SealJob } from '../pipeline/jobs.ts';
import type { WorkerGroup } from '../pipeline/worker-group.ts';
import { PageIndex } from '../content/page-index.ts';
import type { ProvenSession } from '../proven-archive/proven-reader.ts';
import type { VolumeContent, VolumeServices } from './volume-content.ts';

/** The result; `lost`: ranges of the sample whose page is missing in the archive, so that they cannot be compared. */
export interface SampleResult {
  readonly agrees: boolean;
  readonly lost: readonly number[];
}

/** @returns whether all chunks of the sample agreed with the base */
export async function compareSample(
  volume: VolumeContent & { readonly base: NonNullable<VolumeContent['base']> },
  samples: readonly RangeSample[],
  services: Pick<VolumeServices, 'workers' | 'reader' | 'signal' | 'onFault'>,
): Promise<SampleResult> {
  const index = new PageIndex(volume.base.index);
  const file = jobFile(volume.path, volume.name);
  const { size } = volume.geometry;
  const lost: number[] = [];
  for (const { range, chunks } of samples) {
    const page = await pageOrFault(services, volume.base.session, range, index.hash(range));
    if (page === undefined) {
      lost.push(range);
      continue;
    }
    const same = await Promise.all(
      runsOf(chunks, services.workers.chunksPerJob).map(async ({ first, count }) => {
        const at = (first - range * CHUNKS_PER_RANGE) * IDENTITY;
        const known = page.slice(at, at + count * IDENTITY);
        if (known.length !== count * IDENTITY) throw new SparsebakError('failed', 'a sample is past the base');
        return isSame(services.workers, { kind: 'seal', file, size, firstChunk: first, count, known });
      }),
    );
    services.signal.throwIfAborted();
    if (same.includes(false)) return { agrees: false, lost };
  }
  return { agrees: true, lost };
}

async function pageOrFault(
  { reader, onFault }: Pick<VolumeServices, 'reader' | 'onFault'>,
  session: ProvenSession,
  range: number,
  expected: Uint8Array,
): Promise<Uint8Array | undefined> {
  try {
    return await reader.page(session, range, expected);
  } catch (error) {
    if (!isIntegrity(error)) throw error;
    onFault(error);
    return undefined;
  }
}

async function isSame(workers: WorkerGroup, job: SealJob): Promise<boolean> {
  const buffer = await workers.acquire();
  try {
    const { chunks, zeroChunks } = await workers.seal(buffer, job);
    return chunks + zeroChunks === 0;
  } finally {
    workers.release(buffer);
  }
}

/** Rising chunks as runs of at most `limit`. */
function runsOf(chunks: readonly number[], limit: number): ChunkRun[] {
  const runs: { first: number; count: number }[] = [];
  for (const chunk of chunks) {
    const last = runs.at(-1);
    if (last !== undefined && last.first + last.count === chunk && last.count < limit) last.count++;
    else runs.push({ first: chunk, count: 1 });
  }
  return runs;
}
