import { test } from 'node:test';
import { GUEST_MINUTES, guestSkip, runSuite } from './suite.ts';

test(
  'backups of LVM thin pools, in a guest',
  { skip: guestSkip(), timeout: (GUEST_MINUTES + 1) * 60_000 },
  async (t) => {
    await runSuite(t, { entry: 'backup.ts', disks: [{ name: 'pv', megabytes: 16_384 }] });
  },
);
