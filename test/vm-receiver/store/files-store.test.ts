import { rmSync } from 'node:fs';
import { systemDisk } from '../../../vm-receiver/store/files/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/store.ts';
import { makeScratch } from '../../fixtures/scratch.ts';
import { storeConformance } from './conformance.ts';

storeConformance('files', async (use) => {
  const root = makeScratch('store');
  try {
    const floors = { freeBytes: 0, freeInodes: 0 };
    await use(new FilesStore(systemDisk, { root, requireMount: false, floors }));
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
