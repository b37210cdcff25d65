/** SHA-512/256 over pages, indexes and stored objects (docs/format.md, section 3). */
import { createHash } from 'node:crypto';
import { OBJECT_TYPE, u64 } from './aad.ts';
import { isZeroBytes, plain } from './bytes.ts';

export const HASH_LENGTH = 32;

/** The hash of an all-zero page, which is not stored, and of a chunk of zeros. Never write to it. */
export const ZERO_HASH: Uint8Array = new Uint8Array(HASH_LENGTH);

/** Identifies the stored bytes of a head or a catalogue, so it changes whenever the object is sealed again. */
export function objectHash(stored: Uint8Array): Uint8Array {
  return plain(createHash('sha512-256').update(stored).digest());
}

/** The hash of a page's plaintext entries; ZERO_HASH if all are zero. */
export function pageHash(range: number, entries: Uint8Array): Uint8Array {
  return isZeroBytes(entries) ? ZERO_HASH.slice() : nodeHash(OBJECT_TYPE.page, range, entries);
}

/** The hash of an index's plaintext entries without trailing zero hashes. An empty index has an ordinary hash. */
export function indexHash(entries: Uint8Array): Uint8Array {
  return nodeHash(OBJECT_TYPE.index, 0, entries);
}

function nodeHash(type: number, number: number, entries: Uint8Array): Uint8Array {
  return plain(createHash('sha512-256').update(Buffer.of(type)).update(u64(number)).update(entries).digest());
}
