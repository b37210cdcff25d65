/** How much space a session's content takes in blocks, calculated from its pages before any chunk is fetched. */
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import { isZeroBytes } from '../content/bytes.ts';
import { PageIndex } from '../content/page-index.ts';
import { IDENTITY } from '../pipeline/jobs.ts';
import type { ProvenReader, ProvenSession } from '../proven-archive/proven-reader.ts';

/** @param block bytes @returns bytes, whole blocks @throws `integrity` when a page is wrong */
export async function occupiedBytes(session: ProvenSession, reader: ProvenReader, block: number): Promise<number> {
  const { geometry } = session;
  const index = new PageIndex((await reader.index(session)).hashes);
  let blocks = 0;
  /** The first block that is not counted yet. */
  let next = 0;
  for (let range = 0; range < geometry.rangeCount; range++) {
    if (index.isZero(range)) continue;
    const page = await reader.page(session, range, index.hash(range));
    for (let entry = 0; entry < geometry.entriesOf(range); entry++) {
      if (isZeroBytes(page.subarray(entry * IDENTITY, (entry + 1) * IDENTITY))) continue;
      const chunk = range * CHUNKS_PER_RANGE + entry;
      const first = Math.floor(geometry.address(chunk) / block);
      const end = Math.ceil((geometry.address(chunk) + geometry.chunkLength(chunk)) / block);
      blocks += end - Math.max(first, Math.min(next, end));
      next = end;
    }
  }
  return blocks * block;
}
