/**
 * The largest size of each stored file. A longer one is damaged and not read further: a file's reported length may be
 * arbitrary.
 */
import { MAX_CHUNK_SIZE } from '../../../../shared/archive/address.ts';
import { FRAME_MARGIN, MAX_STAGED } from '../../../../shared/wire/limits.ts';
import { HEAD, INDEX, PAGE, SIZE } from './paths.ts';

/** Bytes of a head or a slot: they easily fit the smallest frame. */
export const MAX_SMALL = 64 * 1024;
/** Bytes of an index: the limit of all its parts together. */
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
