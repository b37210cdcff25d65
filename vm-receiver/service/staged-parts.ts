/**
 * The `part`s of a long object, until the request that takes them. Any other request drops them.
 */
import { MAX_SHORT_PARTS, MAX_STAGED, PART_SIZE } from '../../shared/wire/limits.ts';

export class Parts {
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #short = 0;

  /** Why the part was refused; undefined if it was accepted. */
  add(data: Uint8Array): string | undefined {
    if (data.length > PART_SIZE) return `a part of ${data.length} bytes, more than the ${PART_SIZE} allowed`;
    if (this.#bytes + data.length > MAX_STAGED) return `more than ${MAX_STAGED} bytes of parts`;
    if (data.length < PART_SIZE && ++this.#short > MAX_SHORT_PARTS) {
      return `more than ${MAX_SHORT_PARTS} parts shorter than ${PART_SIZE} bytes`;
    }
    this.#bytes += data.length;
    // A copy: the next message overwrites the frame's bytes.
    this.#parts.push(Uint8Array.from(data));
    return undefined;
  }

  /** Takes all parts so far. */
  take(): Uint8Array[] {
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    this.#short = 0;
    return parts;
  }
}
