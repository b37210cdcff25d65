/** Byte ranges as sources return them: in ascending order, adjacent ones joined, none beyond the end. */
import type { ByteRange } from './source.ts';

/** Collects ranges whose starts ascend; none may overlap. */
export class RangeList {
  readonly #list: ByteRange[] = [];
  #offset = 0;
  #end = 0;

  add(offset: number, end: number): void {
    if (offset === this.#end && this.#end > 0) {
      this.#end = end;
      return;
    }
    this.finish();
    this.#offset = offset;
    this.#end = end;
  }

  finish(): ByteRange[] {
    if (this.#end > this.#offset) this.#list.push({ offset: this.#offset, length: this.#end - this.#offset });
    this.#offset = this.#end;
    return this.#list;
  }
}

/** Cuts ranges at the end of a volume of this size. */
export function clip(ranges: readonly ByteRange[], size: number): ByteRange[] {
  return ranges.flatMap(({ offset, length }) => {
    const within = Math.min(length, size - offset);
    return within > 0 ? [{ offset, length: within }] : [];
  });
}

export function bytesIn(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}
