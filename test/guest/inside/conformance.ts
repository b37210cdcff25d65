// The source on real pools: the tests that every source has to pass, and what only thin pools do.

import { flatSourceConformance } from '../../dom0-agent/source/conformance.ts';
import { ThinPool } from './thin-pool.ts';

flatSourceConformance('lvm-thin', true, (t) => {
  const pool = ThinPool.named('vm-pool');
  t.after(() => pool.clear());
  return pool;
});
