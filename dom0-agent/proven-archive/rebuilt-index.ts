/**
 * Rebuilds a missing or damaged index from the session's pages: the result must have the hash that the head signs. A
 * range that became all zeros has no page of its own, so the receiver gives that of an older session. Such a range is
 * recognised by its chunks: if all of them are empty, it has the zero hash (docs/format.md, section 2).
 */
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import { isIntegrity, SparsebakError } from '../../shared/errors.ts';
import { MAX_ADDRESSES } from '../../shared/wire/limits.ts';
import type { ArchiveContent } from '../content/archive-content.ts';
import { isZeroEntry, newEntries, setEntry } from '../content/entries.ts';
import type { ReceiverClient } from '../link/client.ts';
import { MAX_PAGE, asLoss, fetchObject } from './fetch-object.ts';
import type { ProvenSession } from './proven-session.ts';

/** Pages requested at the same time. */
const PAGES_AT_ONCE = 16;

export interface IndexReading {
  readonly client: ReceiverClient;
  readonly content: ArchiveContent;
}

/** @returns undefined if a page is missing, too */
export async function rebuiltIndex(services: IndexReading, session: ProvenSession): Promise<Uint8Array | undefined> {
  const { geometry, head } = session;
  const hashes = newEntries(geometry.rangeCount);
  /**
   * Ranges that have a page, with the first chunk that has content according to the page; undefined if it cannot be
   * read.
   */
  const paged = new Map<number, number | undefined>();
  for (let from = 0; from < geometry.rangeCount; from += PAGES_AT_ONCE) {
    const count = Math.min(PAGES_AT_ONCE, geometry.rangeCount - from);
    const asked = Array.from({ length: count }, (_, at) => lookAtPage(services, session, from + at));
    for (const [at, each] of (await Promise.allSettled(asked)).entries()) {
      if (each.status === 'rejected') throw each.reason;
      if (each.value === 'none') continue;
      paged.set(from + at, each.value?.first);
      if (each.value !== undefined) setEntry(hashes, from + at, each.value.hash);
    }
  }
  const isIndex = (): boolean => services.content.isIndex(hashes, head.index);
  if (isIndex()) return hashes;
  for (const [range, first] of paged) {
    if (await hasContent(services, session, range, first)) continue;
    setEntry(hashes, range, new Uint8Array(32));
    paged.delete(range);
  }
  return isIndex() ? hashes : undefined;
}

interface Page {
  readonly hash: Uint8Array;
  /** The first chunk of the volume that has content according to the page. */
  readonly first: number | undefined;
}

/** `none` if the range never had one; undefined if it is damaged. */
async function lookAtPage(
  { client, content }: IndexReading,
  { volume, head, geometry }: ProvenSession,
  range: number,
): Promise<Page | 'none' | undefined> {
  try {
    const bytes = await fetchObject(client, { t: 'get-page', volume, session: head.session, range }, MAX_PAGE);
    if (bytes === undefined) return 'none';
    const count = geometry.entriesOf(range);
    const { hash, entries } = content.readPage(volume, range, count, bytes);
    for (let entry = 0; entry < count; entry++) {
      if (!isZeroEntry(entries, entry)) return { hash, first: range * CHUNKS_PER_RANGE + entry };
    }
    return { hash, first: undefined };
  } catch (error) {
    if (isIntegrity(error)) return undefined;
    throw error;
  }
}

/** Whether any chunk of a range has content in the session. The chunk that its page names is requested first. */
async function hasContent(
  { client }: IndexReading,
  { volume, head, geometry }: ProvenSession,
  range: number,
  first: number | undefined,
): Promise<boolean> {
  const chunks = Array.from({ length: geometry.entriesOf(range) }, (_, at) => range * CHUNKS_PER_RANGE + at);
  const batches = first === undefined ? [] : [[first]];
  for (let from = 0; from < chunks.length; from += MAX_ADDRESSES)
    batches.push(chunks.slice(from, from + MAX_ADDRESSES));
  for (const batch of batches) {
    const addresses = batch.map((chunk) => geometry.address(chunk));
    const found: number[] = [];
    let answered = 0;
    const request = { t: 'get-chunks', volume, session: head.session, addresses } as const;
    await client
      .request(request, (item) => {
        if (item.t !== 'stored') return;
        if (item.address !== addresses[answered++])
          throw new SparsebakError('protocol', 'the receiver sent a chunk that was not asked for');
        if (item.data !== null && item.data.length > 0) found.push(item.address);
      })
      .catch((error: unknown) => {
        throw asLoss(error);
      });
    if (found.length > 0) return true;
  }
  return false;
}
