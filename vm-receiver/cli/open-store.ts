import { systemDisk } from '../store/files/disk/disk.ts';
import { LINGERING } from '../store/files/layout/archive-locks.ts';
import { FilesStore } from '../store/files/files-store.ts';
import type { Store } from '../store/store.ts';
import type { Settings } from './settings.ts';

/** Opens the archives at the configured root. */
export function openStore({ root, requireMount, minFreeBytes, minFreeInodes, rules, keeping }: Settings): Store {
  const floors = { freeBytes: minFreeBytes, freeInodes: minFreeInodes };
  return new FilesStore(systemDisk, { root, requireMount, floors, rules, keeping, locking: LINGERING });
}
