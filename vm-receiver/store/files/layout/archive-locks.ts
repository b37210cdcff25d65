/**
 * The locks of an archive, each of which is one inode that flock(2) locks: the kernel drops them when their holder dies
 * in any way, and they also exclude receivers of other containers and network namespaces. They are per archive and not
 * per volume, since a lock costs a process: so a call needs only a few, however many volumes it uses.
 *
 *   sending   the file `sending`: held exclusively for a send, from its beginning to its end
 *   reading   the folder `volumes`: shared by readers, exclusive for moving or removing files that they may read
 *   changing  the archive's own folder: exclusive for the moments in which anything visible to others changes
 *
 * Several locks are taken in this order, so that there is no deadlock.
 */
import { join } from 'node:path';
import { systemCode } from '../../../../shared/errors.ts';
import type { Patience } from '../../store.ts';
import type { Disk, LockMode } from '../disk/disk.ts';
import { HeldLock, NO_LINGERING, type Lingering } from '../disk/held-lock.ts';
import { ownKind, removeOwn } from '../disk/own-file.ts';
import { SENDING, VOLUMES } from './paths.ts';

/** How long locks are kept between two uses if others wait for them. */
export interface LockTiming {
  readonly sending: Lingering;
  readonly shared: Lingering;
  readonly alone: Lingering;
}

/** A call that processes many volumes takes each lock once, and again whenever another process had a turn. */
export const LINGERING: LockTiming = {
  sending: { idle: 2_000, turn: Infinity, longest: Infinity },
  shared: { idle: 2_000, turn: 1_000, longest: 20_000 },
  alone: { idle: 2_000, turn: 500, longest: 10_000 },
};

/** For a process with several users of one archive, as in tests. */
export const AT_ONCE: LockTiming = { sending: NO_LINGERING, shared: NO_LINGERING, alone: NO_LINGERING };

export interface ArchiveLocks {
  readonly sending: HeldLock;
  readonly reading: HeldLock;
  readonly changing: HeldLock;
}

export function archiveLocks(disk: Disk, archive: string, patience: Patience, timing: LockTiming): ArchiveLocks {
  const { sending, shared, alone } = timing;
  const lock = (name: string, open: () => number, lingering: Record<LockMode, Lingering>) =>
    new HeldLock(disk, { name, open, lingering }, patience);
  const volumes = join(archive, VOLUMES);
  return {
    sending: lock('a send in the archive', () => openLockFile(disk, join(archive, SENDING)), {
      shared,
      alone: sending,
    }),
    reading: lock('the archive’s volumes', () => disk.open(volumes, 'folder'), { shared, alone }),
    changing: lock('the archive', () => disk.open(archive, 'folder'), { shared, alone }),
  };
}

/** Created if it is missing; anything in its place that is not a file is moved aside. */
function openLockFile(disk: Disk, path: string): number {
  if (ownKind(disk, path) !== 'file') {
    removeOwn(disk, path);
    try {
      disk.close(disk.open(path, 'new'));
    } catch (error) {
      // Another process was faster.
      if (systemCode(error) !== 'EEXIST') throw error;
    }
  }
  return disk.open(path, 'read');
}
