import { test } from 'node:test';
import { LONGEST_BOOT, guestSkip, runSuite } from './suite.ts';

test('backups of LVM thin pools, in a guest', { skip: guestSkip(), timeout: LONGEST_BOOT }, async (t) => {
  await runSuite(t, { entry: 'backup.ts', disks: [{ name: 'pv', megabytes: 16_384 }] });
});
