// Devices as they come and go while a snapshot is read.

import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { describe, it } from 'node:test';
import { contentOf, snapshotOf } from '../../dom0-agent/source/conformance.ts';
import { withFake } from '../../dom0-agent/process/fake-program.ts';
import { Random } from '../../fixtures/random.ts';
import { noise } from './noise.ts';
import { ThinPool } from './thin-pool.ts';

const MIB = 1024 * 1024;

/** The real one, and then its node is missing for so many seconds. */
function lateNode(seconds: number): string {
  return [
    '/usr/sbin/lvchange "$@" || exit',
    'for node in /dev/mapper/*-vm--sparsebak--*; do',
    '  [ -e "$node" ] && mv "$node" /tmp/late && { (sleep ' +
      String(seconds) +
      '; mv /tmp/late "$node") > /dev/null 2>&1 & }',
    'done',
    'exit 0',
  ].join('\n');
}

describe('the device of a snapshot', () => {
  it('that comes late is waited for (L10)', async (t) => {
    const pool = ThinPool.named('vm-pool');
    t.after(() => pool.clear());
    pool.create('v', MIB);
    pool.write('v', 0, noise(new Random('late'), MIB));
    const snapshot = await snapshotOf(pool.source, 'v');
    const scratch = mkdtempSync('/tmp/fake-');
    const opened = await withFake(scratch, 'lvchange', lateNode(1), () => pool.source.open(snapshot));
    await opened.close();
    assert.deepEqual(await contentOf(pool.source, snapshot), pool.read('v'));
    assert.ok(pool.ownSnapshots().every(({ active }) => !active));
  });
});
