/** A long object from the receiver, within a cap; and what it means that one is not there. */
import { SparsebakError } from '../../shared/errors.ts';
import { MAX_SHORT_PARTS, MAX_STAGED, PART_SIZE } from '../../shared/wire/limits.ts';
import type { ReceiverClient, Request } from '../link/client.ts';
import type { Closing, Item } from '../link/due-answers.ts';

/** Bytes that a page may have: 32 KiB of identities and its sealing. */
export const MAX_PAGE = 64 * 1024;

/** Bytes that the index of a volume with so many ranges may have. */
export function maxIndex(rangeCount: number): number {
  return rangeCount * 32 + 1024;
}

/** Room for an object whose length nobody has proven yet: it grows by doubling, whatever pieces it comes in. */
const FIRST_ROOM = 64 * 1024;

/**
 * The object's bytes, copied; undefined where it is absent. @throws `integrity` past the cap, `protocol` where it has
 * no end
 */
export async function fetchObject(
  client: ReceiverClient,
  request: Request,
  cap: number,
): Promise<Uint8Array | undefined> {
  let bytes: Uint8Array = new Uint8Array(0);
  let length = 0;
  let short = 0;
  try {
    const closing: Closing = await client.request(
      request,
      (item: Item) => {
        if (item.t !== 'data') return;
        const from = length;
        length += item.data.length;
        // A file that is too long is damage, and is heard to its end; one without end is another thing.
        if (item.data.length < PART_SIZE) short++;
        if (length > MAX_STAGED + cap || short > MAX_SHORT_PARTS)
          throw new SparsebakError('protocol', `the receiver answers ${request.t} without end`);
        if (length > cap) return;
        if (length > bytes.length) {
          const larger = new Uint8Array(Math.min(cap, Math.max(FIRST_ROOM, length, 2 * bytes.length)));
          larger.set(bytes.subarray(0, from));
          bytes = larger;
        }
        bytes.set(item.data, from);
      },
      cap,
    );
    if (length > cap) throw new SparsebakError('integrity', `${request.t}: the receiver sent more than ${cap} bytes`);
    return closing.t === 'absent' ? undefined : bytes.slice(0, length);
  } catch (error) {
    throw asLoss(error);
  }
}

/** What the catalogue or a listing named, and then is not there, is lost or withheld; it is not the user's mistake. */
export function asLoss(error: unknown): unknown {
  if (!(error instanceof SparsebakError) || error.code !== 'not-found') return error;
  return new SparsebakError('integrity', error.message, {
    hint: 'The backup VM lost it or withholds it; see "sparsebak-receiver check".',
    cause: error,
  });
}
