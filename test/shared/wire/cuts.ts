/** Ways to cut a stream into pieces: a reader must give the same for each. */
import fc from 'fast-check';

/** Pieces of `length` bytes (the last one shorter). Each is a copy, as a read would give it. */
export function cutEvery(bytes: Uint8Array, length: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += length) pieces.push(bytes.slice(at, at + length));
  return pieces;
}

/** Cuts at the given fractions of the whole; several at one place make empty pieces. */
export function cutAt(bytes: Uint8Array, fractions: readonly number[]): Uint8Array[] {
  const offsets = fractions.map((fraction) => Math.floor(fraction * bytes.length)).sort((a, b) => a - b);
  return [0, ...offsets].map((from, index) => bytes.slice(from, offsets[index] ?? bytes.length));
}

export const fractions = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 });
