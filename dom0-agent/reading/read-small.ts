/** Reads a small session into memory, every chunk proven: a document rather than a disk image. */
import { asSparsebakError, SparsebakError } from '../../shared/errors.ts';
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import { copyBytes, isZeroBytes } from '../content/bytes.ts';
import type { ChunkOpener } from '../content/chunk.ts';
import { ENTRY_LENGTH } from '../content/entries.ts';
import { PageIndex } from '../content/page-index.ts';
import type { ReceiverClient } from '../link/client.ts';
import { asLoss } from '../proven-archive/fetch-object.ts';
import type { ProvenReader, ProvenSession } from '../proven-archive/proven-reader.ts';

export interface SmallServices {
  readonly client: ReceiverClient;
  readonly reader: ProvenReader;
  readonly opener: ChunkOpener;
}

/**
 * @param most bytes that it may have
 * @throws `integrity` if any chunk is missing or wrong; `failed` if the session is longer
 */
export async function readSmall(session: ProvenSession, services: SmallServices, most: number): Promise<Buffer> {
  const { head, geometry } = session;
  if (head.size > most) {
    throw new SparsebakError('failed', `${head.name} has ${head.size} bytes, and at most ${most} are expected`);
  }
  const content = Buffer.alloc(head.size);
  const index = new PageIndex((await services.reader.index(session)).hashes);
  for (let range = 0; range < geometry.rangeCount; range++) {
    if (index.isZero(range)) continue;
    const page = await services.reader.page(session, range, index.hash(range));
    await readRange({ session, range, page, content }, services);
  }
  return content;
}

interface RangeOfContent {
  readonly session: ProvenSession;
  readonly range: number;
  readonly page: Uint8Array;
  readonly content: Buffer;
}

async function readRange(
  { session, range, page, content }: RangeOfContent,
  { client, opener }: SmallServices,
): Promise<void> {
  const { volume, head, geometry } = session;
  const identityOf = (entry: number): Uint8Array => page.subarray(entry * ENTRY_LENGTH, (entry + 1) * ENTRY_LENGTH);
  const entries = Array.from({ length: geometry.entriesOf(range) }, (_, entry) => entry);
  const wanted = entries
    .map((entry) => ({ chunk: range * CHUNKS_PER_RANGE + entry, identity: identityOf(entry) }))
    .filter(({ identity }) => !isZeroBytes(identity));
  const addresses = wanted.map(({ chunk }) => geometry.address(chunk));
  if (addresses.length === 0) return;
  let answered = 0;
  let fault: SparsebakError | undefined;
  const request = { t: 'get-chunks', volume, session: head.session, addresses } as const;
  const answer = client.request(request, (item) => {
    if (item.t !== 'stored') return;
    const asked = wanted[answered++];
    if (asked === undefined || item.address !== geometry.address(asked.chunk)) {
      throw new SparsebakError('protocol', 'the receiver sent a chunk that was not asked for');
    }
    try {
      if (item.data === null || item.data.length === 0) throw missing(session, item.address);
      const length = geometry.chunkLength(asked.chunk);
      copyBytes(opener.open(item.data, asked.identity, length), content, item.address);
    } catch (error) {
      fault ??= asSparsebakError(error, 'integrity');
    }
  });
  await answer.catch((error: unknown) => {
    throw asLoss(error);
  });
  if (fault !== undefined) throw fault;
  if (answered !== wanted.length) {
    throw new SparsebakError('protocol', 'the receiver sent fewer chunks than were asked for');
  }
}

function missing({ head }: ProvenSession, address: number): SparsebakError {
  return new SparsebakError(
    'integrity',
    `session ${head.session} of ${head.name}: the chunk at ${address} is missing from the archive`,
  );
}
