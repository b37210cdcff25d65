/**
 * The bytes that a passphrase stands for (docs/format.md, section 9), so that the same words open a slot whichever
 * editor, keyboard or system they were typed on: without a byte order mark and line ends, as UTF-8 in normalisation
 * form C. Bytes that are not UTF-8 are used as they are, so that different passphrases stay different.
 */
import { equalBytes, plain } from './bytes.ts';

export interface Passphrase {
  readonly bytes: Uint8Array;
  /**
   * The form of earlier releases, byte for byte without the last newline, if that differs. Used to open slots, never to
   * seal.
   */
  readonly older?: Uint8Array;
}

const MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const LF = 0x0a;
const CR = 0x0d;

/** @param given from a file, a command or the terminal. @returns undefined if nothing is left of it */
export function passphraseOf(given: Uint8Array): Passphrase | undefined {
  const bytes = normalised(withoutLineEnds(withoutMark(given)));
  const older = plain(given.at(-1) === LF ? given.subarray(0, -1) : given);
  if (bytes.length === 0) return undefined;
  return equalBytes(bytes, older) ? { bytes } : { bytes, older };
}

function withoutMark(bytes: Uint8Array): Uint8Array {
  return equalBytes(bytes.subarray(0, MARK.length), MARK) ? bytes.subarray(MARK.length) : bytes;
}

/** They cannot be typed as a part of a passphrase; editors and other systems add them. */
function withoutLineEnds(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === LF || bytes[end - 1] === CR)) end--;
  return bytes.subarray(0, end);
}

function normalised(bytes: Uint8Array): Uint8Array {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    return plain(Buffer.from(text.normalize('NFC')));
  } catch {
    return plain(bytes);
  }
}
