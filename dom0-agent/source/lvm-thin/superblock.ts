/** The outermost element of what the thin tools print, the same for all of them. */
import { SparsebakError } from '../../../shared/errors.ts';
import type { Attributes } from './metadata-xml.ts';

const SECTOR = 512;
const SMALLEST_BLOCK = 64 * 1024;
const LARGEST_BLOCK = 1024 ** 3;

/**
 * `nr_data_blocks="0"` and an empty uuid are typical of a reserved copy of the metadata. @returns the pool's block size
 * in bytes
 */
export function blockSizeOf(attributes: Attributes): number {
  const sectors = attributes.number('data_block_size');
  const size = sectors * SECTOR;
  if (size < SMALLEST_BLOCK || size > LARGEST_BLOCK || size % SMALLEST_BLOCK !== 0) {
    throw new SparsebakError('source', `a pool cannot have blocks of ${sectors} sectors`);
  }
  for (const name of ['time', 'transaction', 'nr_data_blocks']) attributes.number(name);
  return size;
}
