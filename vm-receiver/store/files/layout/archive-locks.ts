/**
 * The locks of an archive, of which each is one inode that flock(2) locks: the kernel drops them when their holder
 * dies, however it dies, and they exclude receivers of other containers and network namespaces, too. They are the
 * archive's and not each volume's, since a lock costs a process: so a call needs a few, however many volumes it is
 * about.
 *
 *   sending   the file `sending`: alone for whoever has an unfinished send in hand, from its beginning to its end
 *   reading   the folder `volumes`: shared by readers, alone for whoever moves or removes what they read
 *   changing  the archive's own folder: alone for the moments in which anything that others see becomes another
 *
 * Who needs several takes them in this order, so that nobody waits for one who waits for him.
 */
import { join } from 'node:path';
import { systemCode } from '../../../../shared/errors.ts';
import type { Patience } from '../../store.ts';
import type { Disk, LockMode } from '../disk/disk.ts';
import { HeldLock, NO_LINGERING, type Lingering } from '../disk/held-lock.ts';
import { ownKind, removeOwn } from '../disk/own-file.ts';
import { SENDING, VOLUMES } from './paths.ts';

/** How long the locks that others wait for are kept between two uses. */
export interface LockTiming {
  readonly sending: Lingering;
  readonly shared: Lingering;
  readonly alone: Lingering;
}

/** A call that works through many volumes takes each lock once, and again whenever another process had a turn. */
export const LINGERING: LockTiming = {
  sending: { idle: 2_000, turn: Infinity, longest: Infinity },
  shared: { idle: 2_000, turn: 1_000, longest: 20_000 },
  alone: { idle: 2_000, turn: 500, longest: 10_000 },
};

/** For a process that has several users of one archive, as tests have. */
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

/** Made if it is not there; what is in its place and no file is put aside. */
function openLockFile(disk: Disk, path: string): number {
  if (ownKind(disk, path) !== 'file') {
    removeOwn(disk, path);
    try {
      disk.close(disk.open(path, 'new'));
    } catch (error) {
      // Another process was ahead of us.
      if (systemCode(error) !== 'EEXIST') throw error;
    }
  }
  return disk.open(path, 'read');
}
