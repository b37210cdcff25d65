import { rmSync } from 'node:fs';
import { systemDisk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import { makeScratch } from '../../fixtures/scratch.ts';
import { storeConformance } from './conformance.ts';
import { keptConformance } from './kept-conformance.ts';
import { lifeConformance, type WithStore } from './life-conformance.ts';

const withStore: WithStore = async (use, rules) => {
  const root = makeScratch('store');
  try {
    const floors = { freeBytes: 0, freeInodes: 0 };
    await use(new FilesStore(systemDisk, { root, requireMount: false, floors, ...(rules && { rules }) }));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
};

storeConformance('files', withStore);
keptConformance('files', withStore);
lifeConformance('files', withStore);
