/**
 * Frames out of a byte stream (docs/protocol.md, section 1): a length (u32, big endian) and that many bytes.
 *
 * A frame that is complete in one piece of the stream is handed out as a view of the piece. Only a frame that is cut
 * across pieces is copied together, in one reused buffer that is never larger than the longest frame allowed. So the
 * memory in use is one piece and one frame, whatever the peer sends.
 */
import { SparsebakError } from '../errors.ts';
import { FRAME_MARGIN, SMALL_FRAME } from './limits.ts';

/** Bytes of the length before a frame. */
export const LENGTH_PREFIX = 4;

/** The longest frame once an archive with this chunk size is open. */
export function maxFrame(chunkSize: number): number {
  return Math.max(SMALL_FRAME, chunkSize + FRAME_MARGIN);
}

export class FrameReader {
  /** The longest frame allowed, in bytes; applies from the next frame on. */
  limit: number;
  #room: Uint8Array = new Uint8Array(0);
  /** Of the frame being read: bytes of its length seen, its length so far, bytes of it in `#room`. */
  #prefix = 0;
  #length = 0;
  #filled = 0;
  #state: 'ready' | 'reading' | 'broken' = 'ready';

  constructor(limit: number = SMALL_FRAME) {
    this.limit = limit;
  }

  /**
   * The frames that end in this piece of the stream, in order; a piece may be cut anywhere. Each frame is a view that
   * holds until the next one is asked for (and no longer than the piece's own bytes stay as they are).
   *
   * All of a piece's frames must be taken before the next piece is given. A loop that ends early leaves the reader
   * unusable, since the rest of the piece is lost. Throws `protocol` for a length of 0 or above `limit`.
   */
  *frames(piece: Uint8Array): Generator<Uint8Array, void, undefined> {
    if (this.#state === 'reading') throw new SparsebakError('failed', 'the previous piece still has frames');
    if (this.#state === 'broken') throw new SparsebakError('protocol', 'the stream of frames is already broken');
    this.#state = 'reading';
    let whole = false;
    try {
      yield* this.#cut(piece);
      whole = true;
    } finally {
      this.#state = whole ? 'ready' : 'broken';
    }
  }

  /** Whether the stream may end here: true between frames, false inside one or after an error. */
  finish(): boolean {
    return this.#state === 'ready' && this.#prefix === 0;
  }

  *#cut(given: Uint8Array): Generator<Uint8Array, void, undefined> {
    // Never a Buffer, whose slice() does not copy: callers that keep a frame rely on the copy.
    const piece = new Uint8Array(given.buffer, given.byteOffset, given.byteLength);
    let at = 0;
    while (at < piece.length) {
      if (this.#prefix < LENGTH_PREFIX) {
        this.#length = this.#length * 256 + (piece[at++] ?? 0);
        if (++this.#prefix === LENGTH_PREFIX) this.#checkLength();
        continue;
      }
      const missing = this.#length - this.#filled;
      const end = Math.min(at + missing, piece.length);
      if (this.#filled > 0 || end - at < missing) this.#keep(piece.subarray(at, end));
      if (end - at === missing) {
        const frame = this.#filled > 0 ? this.#room.subarray(0, this.#length) : piece.subarray(at, end);
        this.#prefix = this.#length = this.#filled = 0;
        yield frame;
      }
      at = end;
    }
  }

  #checkLength(): void {
    if (this.#length === 0) throw new SparsebakError('protocol', 'a frame of 0 bytes');
    if (this.#length > this.limit) {
      throw new SparsebakError('protocol', `a frame of ${this.#length} bytes, more than the ${this.limit} allowed`);
    }
  }

  #keep(part: Uint8Array): void {
    // Allocates the limit, not the frame's length: at most one allocation each time the limit is raised.
    if (this.#room.length < this.#length) this.#room = new Uint8Array(Math.max(this.limit, this.#length));
    this.#room.set(part, this.#filled);
    this.#filled += part.length;
  }
}
