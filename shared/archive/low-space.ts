/** When a disk counts as running low: below a share of its size, or below a number of bytes. */
import { SparsebakError } from '../errors.ts';

export type LowSpace = { readonly percent: number } | { readonly bytes: number };

export interface FreeSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
}

const FORM = /^(\d{1,15}(?:\.\d{1,3})?)(%|[KMGT]?i?B?)$/;
const UNITS: Readonly<Record<string, number>> = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

export function isLowSpace(text: string): boolean {
  return FORM.test(text);
}

export function isSize(text: string): boolean {
  return isLowSpace(text) && !text.endsWith('%');
}

/** Bytes of `50GiB`, `50G`, `1073741824`. @throws `usage` */
export function parseSize(text: string): number {
  const size = isSize(text) ? parseLowSpace(text) : undefined;
  if (size !== undefined && 'bytes' in size) return size.bytes;
  throw new SparsebakError('usage', `"${text.slice(0, 32)}" is not a size like 50MiB`);
}

/** `10%`, `50GiB`, `50G`, `1073741824`. @throws `usage` */
export function parseLowSpace(text: string): LowSpace {
  const [, number = '', unit = ''] = FORM.exec(text) ?? [];
  if (number === '')
    throw new SparsebakError('usage', `"${text.slice(0, 32)}" is neither a share like 10% nor a size like 50GiB`);
  if (unit === '%') return { percent: Number(number) };
  return { bytes: Math.floor(Number(number) * (UNITS[unit.slice(0, 1)] ?? 1)) };
}

/** Bytes that have to be freed until the disk no longer runs low; 0 if it does not run low. */
export function bytesShort({ totalBytes, freeBytes }: FreeSpace, low: LowSpace): number {
  const wanted = 'percent' in low ? Math.ceil((totalBytes * low.percent) / 100) : low.bytes;
  return Math.max(0, wanted - freeBytes);
}
