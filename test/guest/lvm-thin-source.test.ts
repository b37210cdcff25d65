import { test } from 'node:test';
import { GUEST_MINUTES, guestSkip, runSuite } from './suite.ts';

test(
  'the source of LVM thin pools, kills and restores, in a guest',
  { skip: guestSkip(), timeout: (GUEST_MINUTES + 1) * 60_000 },
  async (t) => {
    const disks = [
      { name: 'pv', megabytes: 16_384 },
      { name: 'other', megabytes: 4096 },
    ];
    await runSuite(t, { entry: 'source.ts', disks });
  },
);
