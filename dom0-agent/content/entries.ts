/**
 * Pages and indexes as plain bytes: consecutive entries of 32 bytes. A page's entries are identities of chunks, an
 * index's are hashes of pages; 32 zero bytes mean all zeros in both.
 */
import { isZeroBytes } from './bytes.ts';
import { HASH_LENGTH, ZERO_HASH } from './hash.ts';

/** Bytes. */
export const ENTRY_LENGTH = HASH_LENGTH;

export function newEntries(count: number): Uint8Array {
  return new Uint8Array(count * ENTRY_LENGTH);
}

export function entryCount(entries: Uint8Array): number {
  return entries.length / ENTRY_LENGTH;
}

/** A view of one entry; zeros after the last one, since an index leaves out trailing zeros. */
export function entryAt(entries: Uint8Array, number: number): Uint8Array {
  const from = number * ENTRY_LENGTH;
  return from < entries.length ? entries.subarray(from, from + ENTRY_LENGTH) : ZERO_HASH;
}

export function isZeroEntry(entries: Uint8Array, number: number): boolean {
  return isZeroBytes(entryAt(entries, number));
}

/** @throws RangeError for a number out of range, or an entry that does not have 32 bytes */
export function setEntry(entries: Uint8Array, number: number, entry: Uint8Array): void {
  if (entry.length !== ENTRY_LENGTH || number < 0 || number >= entryCount(entries)) {
    throw new RangeError(`no place for entry ${number}`);
  }
  entries.set(entry, number * ENTRY_LENGTH);
}

/** A view of an index without its trailing zero hashes: the form that is hashed and stored. */
export function withoutTrailingZeros(entries: Uint8Array): Uint8Array {
  let count = entryCount(entries);
  while (count > 0 && isZeroEntry(entries, count - 1)) count--;
  return entries.subarray(0, count * ENTRY_LENGTH);
}
