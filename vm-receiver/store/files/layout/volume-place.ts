/** The paths of one volume of an open archive, and what is needed to work on it. */
import { join } from 'node:path';
import type { VolumeId } from '../../../../shared/archive/names.ts';
import type { FormOf } from '../../object-form.ts';
import type { Keeping, Patience, Rules } from '../../store.ts';
import type { ArchiveLocks } from './archive-locks.ts';
import type { Disk } from '../disk/disk.ts';
import { volumeFolder } from './paths.ts';
import type { VolumeReaders } from './readers.ts';
import type { Floors } from '../disk/free-space.ts';

export interface ArchivePlace {
  readonly disk: Disk;
  /** The archive's folder. */
  readonly archive: string;
  readonly form: FormOf;
  readonly chunkSize: number;
  readonly dedup: boolean;
  readonly floors: Floors;
  readonly rules: Rules;
  readonly keeping: Keeping;
  readonly patience: Patience;
  readonly locks: ArchiveLocks;
  readonly readers: VolumeReaders;
}

export interface VolumePlace extends ArchivePlace {
  readonly id: VolumeId;
  /** The volume's folder: its path, and its name in messages. */
  readonly volume: string;
  readonly volumeName: string;
}

export function volumePlace(place: ArchivePlace, id: VolumeId): VolumePlace {
  const volumeName = volumeFolder(id);
  return { ...place, id, volume: join(place.archive, volumeName), volumeName };
}
