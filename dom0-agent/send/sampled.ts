/** The check on every delta: chunks that it leaves out are read again, and must still be what the base has. */
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { ChunkRun } from '../capture/delta-map.ts';
import type { RangeSample } from '../capture/sample.ts';
import { IDENTITY, jobFile, type SealJob } from '../pipeline/jobs.ts';
import type { PipelinePool } from '../pipeline/pool.ts';
import { PageIndex } from '../content/page-index.ts';
import type { VolumeContent, VolumeTools } from './volume-content.ts';

/** @returns whether all chunks of the sample agreed with the base */
export async function agrees(
  what: VolumeContent & { readonly base: NonNullable<VolumeContent['base']> },
  samples: readonly RangeSample[],
  tools: Pick<VolumeTools, 'pool' | 'reader' | 'signal'>,
): Promise<boolean> {
  const index = new PageIndex(what.base.index);
  const file = jobFile(what.path);
  const { size } = what.geometry;
  for (const { range, chunks } of samples) {
    const page = await tools.reader.page(what.base.session, range, index.hash(range));
    const same = await Promise.all(
      runsOf(chunks, tools.pool.chunksPerJob).map(async ({ first, count }) => {
        const at = (first - range * CHUNKS_PER_RANGE) * IDENTITY;
        const known = page.slice(at, at + count * IDENTITY);
        if (known.length !== count * IDENTITY) throw new SparsebakError('failed', 'a sample lies past the base');
        return isSame(tools.pool, { kind: 'seal', file, size, firstChunk: first, count, known });
      }),
    );
    tools.signal.throwIfAborted();
    if (same.includes(false)) return false;
  }
  return true;
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
