import { test } from 'node:test';
import { GUEST_MINUTES, guestSkip, runSuite } from './suite.ts';

// The long scenarios take another quarter of an hour: they are run by hand.
const entry = process.env.SPARSEBAK_GUEST_LONG === undefined ? 'backup.ts' : 'long.ts';

test(
  'backups of LVM thin pools, in a guest',
  { skip: guestSkip(), timeout: (GUEST_MINUTES + 1) * 60_000 },
  async (t) => {
    await runSuite(t, { entry, disks: [{ name: 'pv', megabytes: 16_384 }] });
  },
);
