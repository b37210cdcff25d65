/**
 * The eight bytes that each side sends first (docs/protocol.md, section 1). Over qrexec and ssh a login shell's
 * greeting may come before them, so the agent skips it; nothing prints into the receiver's input, so the receiver skips
 * nothing.
 */
import { SparsebakError } from '../errors.ts';
import { escapeText } from '../text.ts';

/** `SPBK\r\n\x1a1`: a link that translates line ends or stops at control-Z breaks it. */
export const MAGIC: Uint8Array = Uint8Array.of(0x53, 0x50, 0x42, 0x4b, 0x0d, 0x0a, 0x1a, 0x31);

/** Bytes that may come before the receiver's magic. */
export const MAX_BANNER = 64 * 1024;

/** Bytes of this banner that an error shows. */
const SHOWN = 512;

export class MagicReader {
  readonly #maxAhead: number;
  readonly #banner = new Uint8Array(SHOWN);
  #seen = 0;
  #matched = 0;

  /** `maxAhead`: bytes to skip, `MAX_BANNER` in the agent, 0 in the receiver. */
  constructor(maxAhead: number) {
    this.#maxAhead = maxAhead;
  }

  /**
   * Takes the next piece of the stream, cut anywhere. Returns the bytes after the magic (a view of the piece, perhaps
   * empty) once the magic is complete, undefined before; from then on the stream is the frame reader's. Throws
   * `protocol` after more than `maxAhead` bytes without the magic.
   */
  feed(piece: Uint8Array): Uint8Array | undefined {
    if (this.#matched === MAGIC.length) throw new SparsebakError('failed', 'the magic was already found');
    for (let at = 0; at < piece.length; at++) {
      const byte = piece[at] ?? 0;
      if (this.#seen < SHOWN) this.#banner[this.#seen] = byte;
      this.#seen++;
      // The first byte occurs only once in the magic: a broken match can begin again only at this very byte.
      if (byte === MAGIC[this.#matched]) this.#matched++;
      else this.#matched = byte === MAGIC[0] ? 1 : 0;
      if (this.#matched === MAGIC.length) return piece.subarray(at + 1);
      if (this.ahead > this.#maxAhead) throw this.#noMagic();
    }
    return undefined;
  }

  /** Bytes before the magic, as far as known by now. */
  get ahead(): number {
    return this.#seen - this.#matched;
  }

  /** The beginning of the banner, escaped: it often says why there is no receiver. */
  get banner(): string {
    const bytes = this.#banner.subarray(0, Math.min(this.ahead, SHOWN));
    return escapeText(new TextDecoder().decode(bytes).trim(), 200);
  }

  #noMagic(): SparsebakError {
    const what =
      this.#maxAhead === 0 ? 'The stream does not begin' : `The first ${this.#maxAhead} bytes do not continue`;
    return new SparsebakError('protocol', `${what} with the protocol's magic, but with "${this.banner}"`, {
      hint: 'Check that the other side starts sparsebak, and nothing else that writes to standard output.',
    });
  }
}
