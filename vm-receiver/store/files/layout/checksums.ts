/**
 * The file `sha256` of a range or a session, in the form of sha256sum(1).
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Disk } from '../disk/disk.ts';
import { ownKind, readOwn } from '../disk/own-file.ts';
import { CHECKSUMS } from './paths.ts';
import { readSmall } from '../disk/small-file.ts';

const LINE = /^([0-9a-f]{64}) {2}([a-z0-9]+)$/;
/** A range has 1025 lines. */
const MAX_CHECKSUMS = 2 ** 20;

/** The checksum of an empty file: a chunk of zeros. */
export const EMPTY_SUM = createHash('sha256').digest('hex');

export function checksumOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function checksumLine(sum: string, name: string): string {
  return `${sum}  ${name}\n`;
}

export interface Checksums {
  /** The file's text. */
  readonly text: string;
  /** Checksums by file name. */
  readonly sums: ReadonlyMap<string, string>;
  /** Whether a line could not be parsed. */
  readonly damaged: boolean;
}

/** The checksums of a folder; undefined if there are none. `name` is the folder's, for messages. */
export function readChecksums(disk: Disk, folder: string, name: string): Checksums | undefined {
  const bytes = readSmall(disk, join(folder, CHECKSUMS), `${name}/${CHECKSUMS}`, MAX_CHECKSUMS);
  return bytes === undefined ? undefined : parseChecksums(Buffer.from(bytes).toString());
}

/**
 * The same, but also undefined if they cannot be read: for callers that can do without. Tried twice, since the caller
 * may then write others in their place.
 */
export function findChecksums(disk: Disk, folder: string): Checksums | undefined {
  const look = () => readOwn(disk, join(folder, CHECKSUMS), MAX_CHECKSUMS);
  const bytes = look() ?? (ownKind(disk, join(folder, CHECKSUMS)) === undefined ? undefined : look());
  return bytes === undefined ? undefined : parseChecksums(Buffer.from(bytes).toString());
}

function parseChecksums(text: string): Checksums {
  const sums = new Map<string, string>();
  let damaged = false;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, sum, name] = LINE.exec(line) ?? [];
    if (sum === undefined || name === undefined) damaged = true;
    else sums.set(name, sum);
  }
  return { text, sums, damaged };
}
