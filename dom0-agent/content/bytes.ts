/** Compares and copies bytes, and recognises zeros. */

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

const ZEROS = Buffer.alloc(64 * 1024);

/** Whether all bytes are zero, by memcmp: a loop in JavaScript takes as long as hashing. True for no bytes. */
export function isZeroBytes(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const length = Math.min(ZEROS.length, bytes.length - at);
    if (ZEROS.compare(bytes, at, at + length, 0, length) !== 0) return false;
  }
  return true;
}

/** A Buffer's bytes as a separate Uint8Array, which compares and clones as plain data. */
export function plain(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

/**
 * Copies all of `source` to `offset` of `target`, which may be shared memory. In shared memory set() copies atomically,
 * byte by byte if source and target are aligned differently: 3.5 GB/s, a thirtieth of this.
 * @throws RangeError if it does not fit
 */
export function copyBytes(source: Uint8Array, target: Uint8Array, offset: number): void {
  if (source.length === 0) return;
  Buffer.from(target.buffer, target.byteOffset, target.length).fill(source, offset, offset + source.length);
}

/**
 * Frees a buffer's memory at once; it has no bytes afterwards. The garbage collector considers buffer memory only every
 * 64 MiB or so and in each thread separately, so chunks would take hundreds of MiB. Only for bytes that nothing else
 * views: those that a cipher, a codec or a pipe has just made. Memory that may be in Node's common pool is not freed.
 */
export function freeBytes(bytes: Uint8Array): void {
  const { buffer, length } = bytes;
  const isPooled = buffer.byteLength === Buffer.poolSize && length < buffer.byteLength;
  if (buffer instanceof ArrayBuffer && !isPooled && !buffer.detached) buffer.transfer(0);
}
