import { test } from 'node:test';
import { guestSkip, runSuite } from './suite.ts';

const MINUTES = 9;

// One boot for all: LVM thin pools need a kernel of our own.
test('LVM thin pools, in a guest', { skip: guestSkip(), timeout: MINUTES * 60_000 }, async (t) => {
  await runSuite(t, {
    entry: 'main.ts',
    disks: [
      { name: 'pv', megabytes: 16_384 },
      { name: 'other', megabytes: 4096 },
    ],
    seconds: MINUTES * 60 - 10,
  });
});
