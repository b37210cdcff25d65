import { join } from 'node:path';
import { RANGE_FOLDER_NAME } from '../../../../shared/archive/address.ts';
import type { Disk } from '../disk/disk.ts';

/** The range folders of a session: their paths. */
export function rangesOf(disk: Disk, session: string): string[] {
  return disk
    .list(session)
    .filter((name) => RANGE_FOLDER_NAME.test(name))
    .map((name) => join(session, name))
    .filter((path) => disk.kindOf(path) === 'folder');
}
