/** The check on every delta: chunks that it leaves out are read again, and must still be what the base has. */
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { RangeSample } from '../capture/sample.ts';
import { IDENTITY, jobFile } from '../pipeline/jobs.ts';
import { PageIndex } from './page-index.ts';
import type { VolumeContent, VolumeTools } from './volume-content.ts';

/** @returns whether all chunks of the sample agreed with the base */
export async function agrees(
  what: VolumeContent & { readonly base: NonNullable<VolumeContent['base']> },
  samples: readonly RangeSample[],
  tools: Pick<VolumeTools, 'pool' | 'reader' | 'signal'>,
): Promise<boolean> {
  const index = new PageIndex(what.base.index);
  const file = jobFile(what.path);
  let different = 0;
  for (const { range, chunks } of samples) {
    const page = await tools.reader.page(what.base.session, range, index.hash(range));
    await Promise.all(
      chunks.map(async (chunk) => {
        const at = (chunk - range * CHUNKS_PER_RANGE) * IDENTITY;
        const known = page.slice(at, at + IDENTITY);
        if (known.length !== IDENTITY) throw new SparsebakError('failed', 'a sample lies past the base');
        const slot = await tools.pool.acquire();
        try {
          const job = { kind: 'seal', file, size: what.geometry.size, firstChunk: chunk, count: 1, known } as const;
          const result = await tools.pool.seal(slot, job);
          if (result.chunks + result.zeroChunks > 0) different++;
        } finally {
          tools.pool.release(slot);
        }
      }),
    );
    tools.signal.throwIfAborted();
    if (different > 0) return false;
  }
  return true;
}
