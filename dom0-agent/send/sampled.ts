/** The check on every delta: chunks that it leaves out are read again, and must still be what the base has. */
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { ChunkRun } from '../capture/delta-map.ts';
import type { RangeSample } from '../capture/sample.ts';
import { IDENTITY, jobFile, type SealJob } from '../pipeline/jobs.ts';
import type { PipelinePool } from '../pipeline/pool.ts';
import { PageIndex } from '../content/page-index.ts';
import type { ProvenSession } from '../trust/proven-reader.ts';
import type { VolumeContent, VolumeTools } from './volume-content.ts';

/** What came of it; `lost`: ranges of the sample whose page the archive has lost, so that nothing can be said of them. */
export interface SampleResult {
  readonly agrees: boolean;
  readonly lost: readonly number[];
}

/** @returns whether all chunks of the sample agreed with the base */
export async function compareSample(
  what: VolumeContent & { readonly base: NonNullable<VolumeContent['base']> },
  samples: readonly RangeSample[],
  tools: Pick<VolumeTools, 'pool' | 'reader' | 'signal' | 'onFault'>,
): Promise<SampleResult> {
  const index = new PageIndex(what.base.index);
  const file = jobFile(what.path, what.name);
  const { size } = what.geometry;
  const lost: number[] = [];
  for (const { range, chunks } of samples) {
    const page = await pageOrFault(tools, what.base.session, range, index.hash(range));
    if (page === undefined) {
      lost.push(range);
      continue;
    }
    const same = await Promise.all(
      runsOf(chunks, tools.pool.chunksPerJob).map(async ({ first, count }) => {
        const at = (first - range * CHUNKS_PER_RANGE) * IDENTITY;
        const known = page.slice(at, at + count * IDENTITY);
        if (known.length !== count * IDENTITY) throw new SparsebakError('failed', 'a sample lies past the base');
        return isSame(tools.pool, { kind: 'seal', file, size, firstChunk: first, count, known });
      }),
    );
    tools.signal.throwIfAborted();
    if (same.includes(false)) return { agrees: false, lost };
  }
  return { agrees: true, lost };
}

async function pageOrFault(
  { reader, onFault }: Pick<VolumeTools, 'reader' | 'onFault'>,
  session: ProvenSession,
  range: number,
  expected: Uint8Array,
): Promise<Uint8Array | undefined> {
  try {
    return await reader.page(session, range, expected);
  } catch (error) {
    if (!(error instanceof SparsebakError) || error.code !== 'integrity') throw error;
    onFault(error);
    return undefined;
  }
}

async function isSame(pool: PipelinePool, job: SealJob): Promise<boolean> {
  const slot = await pool.acquire();
  try {
    const { chunks, zeroChunks } = await pool.seal(slot, job);
    return chunks + zeroChunks === 0;
  } finally {
    pool.release(slot);
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
