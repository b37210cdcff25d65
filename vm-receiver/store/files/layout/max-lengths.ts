/**
 * How long each stored file may be. What is longer is damaged, and is read no further: a file may say that it has any
 * length.
 */
import { MAX_CHUNK_SIZE } from '../../../../shared/archive/address.ts';
import { FRAME_MARGIN, MAX_STAGED } from '../../../../shared/wire/limits.ts';
import { HEAD, INDEX, PAGE, SIZE } from './paths.ts';

/** Bytes of a head or a slot: they fit the smallest frame with room to spare. */
export const MAX_SMALL = 64 * 1024;
/** Bytes of an index: what the parts that bring it may have together. */
export const MAX_INDEX = MAX_STAGED;
/** Bytes of a page: 32 KiB of identities, and sealing. */
export const MAX_PAGE = 64 * 1024;
/** Bytes of a chunk, sealing included. */
export const MAX_STORED_CHUNK = MAX_CHUNK_SIZE + FRAME_MARGIN;

const BY_NAME: ReadonlyMap<string, number> = new Map([
  [HEAD, MAX_SMALL],
  [INDEX, MAX_INDEX],
  [SIZE, 64],
  [PAGE, MAX_PAGE],
]);

/** Bytes of a file of a session or of a range, by its name. */
export function maxLength(file: string): number {
  return BY_NAME.get(file) ?? MAX_STORED_CHUNK;
}
