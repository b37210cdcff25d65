/**
 * Names in `kept/`: `<number>-<time>-<sha256>-<name>` (docs/format.md, section 2). A file without bytes has a meaning
 * by its name: with the checksum of an empty file, the slot was removed; with any other, there was no space for a copy.
 */
import { EMPTY_SUM } from '../layout/checksums.ts';

/** Kinds of kept objects: key slots, and the catalogue. Each has its own folder. */
export type KeptKind = 'keys' | 'catalogues';

export interface KeptFile {
  readonly kind: KeptKind;
  /** Grows with each put in the archive, and is never used twice. */
  readonly number: number;
  /** When it was put, by this computer's clock, in milliseconds since 1970; to the second. */
  readonly time: number;
  /** SHA-256 of what was put. */
  readonly sum: string;
  /** The slot's name, or `catalogue`. */
  readonly name: string;
  /** The file's name. */
  readonly file: string;
}

const NAME = /^(\d{8,15})-(\d{8})T(\d{6})Z-([0-9a-f]{64})-([a-z0-9][a-z0-9-]{0,31})$/;

export function formatKept({ number, time, sum, name }: Omit<KeptFile, 'kind' | 'file'>): string {
  const iso = new Date(time).toISOString();
  const stamp = `${iso.slice(0, 10).replaceAll('-', '')}T${iso.slice(11, 19).replaceAll(':', '')}Z`;
  return `${String(number).padStart(8, '0')}-${stamp}-${sum}-${name}`;
}

/** Undefined for any other name. */
export function parseKept(kind: KeptKind, file: string): KeptFile | undefined {
  const [, digits = '', day = '', clock = '', sum = '', name = ''] = NAME.exec(file) ?? [];
  const number = Number(digits);
  const time = Date.parse(`${parts(day, [4, 2, 2], '-')}T${parts(clock, [2, 2, 2], ':')}Z`);
  if (number === 0 || Number.isNaN(time)) return undefined;
  return { kind, number, time, sum, name, file };
}

function parts(text: string, lengths: readonly number[], between: string): string {
  let at = 0;
  return lengths.map((length) => text.slice(at, (at += length))).join(between);
}

export function isRemoval({ sum }: KeptFile): boolean {
  return sum === EMPTY_SUM;
}
