/** The line that users compare: the archive's id, and number and hash of its catalogue. */
import type { ArchiveId } from '../../shared/archive/names.ts';
import type { Pinned } from './pinned-file.ts';

export interface ArchiveLine {
  readonly id: ArchiveId;
  readonly sequence: number;
  /** Of the catalogue, 64 hexadecimal digits. */
  readonly hash: string;
}

export function lineOf({ catalogue, hash }: Pinned): ArchiveLine {
  return { id: catalogue.archive, sequence: catalogue.sequence, hash: Buffer.from(hash).toString('hex') };
}
