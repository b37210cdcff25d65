/** Fetches a long object from the receiver, within a size limit, and turns its absence into the right error. */
import { SparsebakError } from '../../shared/errors.ts';
import { MAX_SHORT_PARTS, MAX_STAGED, PART_SIZE } from '../../shared/wire/limits.ts';
import type { ReceiverClient, Request } from '../link/client.ts';
import type { Closing, Item } from '../link/due-answers.ts';

/** The largest page in bytes: 32 KiB of identities and their sealing. */
export const MAX_PAGE = 64 * 1024;

/** The largest index in bytes of a volume with this number of ranges. */
export function maxIndex(rangeCount: number): number {
  return rangeCount * 32 + 1024;
}

/**
 * The first buffer for an object whose length is not proven yet; it grows by doubling, whatever the size of the pieces.
 */
const FIRST_ROOM = 64 * 1024;

/**
 * The object's bytes, copied; undefined if it is absent. @throws `integrity` past the limit, `protocol` if it never
 * ends
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
        // A file that is too long is damage, and is received to its end; an endless answer breaks the protocol.
        if (item.data.length < PART_SIZE) short++;
        if (length > MAX_STAGED + cap || short > MAX_SHORT_PARTS)
          throw new SparsebakError('protocol', `the receiver's answer to ${request.t} does not end`);
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

/**
 * An object that the catalogue or a listing names and that does not exist is lost or withheld: not the user's mistake.
 */
export function asLoss(error: unknown): unknown {
  if (!(error instanceof SparsebakError) || error.code !== 'not-found') return error;
  return new SparsebakError('integrity', error.message, {
    hint: 'The backup VM lost it or withholds it; see "sparsebak-receiver check".',
    cause: error,
  });
}
