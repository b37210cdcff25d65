import { test } from 'node:test';
import { LONGEST_BOOT, guestSkip, runSuite } from './suite.ts';

test(
  'the source of LVM thin pools, kills and restores, in a guest',
  { skip: guestSkip(), timeout: LONGEST_BOOT },
  async (t) => {
    const disks = [
      { name: 'pv', megabytes: 16_384 },
      { name: 'other', megabytes: 4096 },
    ];
    await runSuite(t, { entry: 'source.ts', disks });
  },
);
