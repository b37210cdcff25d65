import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import {
  deviceName,
  isLvName,
  runningName,
  newName,
  replacedName,
  selectNames,
  snapshotId,
  snapshotName,
} from '../../../../dom0-agent/source/lvm-thin/lvm-names.ts';
import { parseReport } from '../../../../dom0-agent/source/lvm-thin/lvm-report.ts';
import { parseStatus } from '../../../../dom0-agent/source/lvm-thin/pool-status.ts';

const own = snapshotName('0123456789abcdef0123456789abcdef');

/** The patterns of udev that our rule has for a name; they are those of a shell. */
function ruleMatches(device: string): boolean {
  const rule = readFileSync(join(import.meta.dirname, '../../../../qubes-rpc/udev/12-sparsebak.rules'), 'utf8');
  const patterns = [...rule.matchAll(/^ATTR\{dm\/name\}=="([^"]*)"/gm)].map(([, pattern]) => pattern!);
  const gone = [...rule.matchAll(/^ACTION=="remove", ENV\{DM_NAME\}=="([^"]*)"/gm)].map(([, pattern]) => pattern!);
  assert.equal(patterns.length, 2);
  assert.deepEqual(gone, patterns);
  return patterns.some((pattern) => new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(device));
}

describe('names of LVM', () => {
  it('of our own are those that our udev rule is about, and no others are', () => {
    const id = '0123456789abcdef0123456789abcdef';
    for (const group of ['qubes_dom0', 'my-group', 'g-']) {
      for (const name of [snapshotName(id), newName(id)]) assert.ok(ruleMatches(deviceName(group, name)), name);
      for (const other of [
        'vm-work-private',
        'vm-sparsebak-private',
        'vm-sparsebak-vault-private',
        `vm-sparsebak-${id}0`,
        `vm-sparsebak-${id}-private`,
        `vm-sparsebak-${id.toUpperCase()}`,
        replacedName(snapshotName(id), 7),
      ])
        assert.ok(!ruleMatches(deviceName(group, other)), other);
    }
    assert.ok(!ruleMatches(deviceName('g', 'pool', '-tpool')));
  });

  it('are what its commands may be given', () => {
    for (const name of [
      'vm-work-private',
      'a.b+c_d',
      '-x',
      '',
      '.',
      '..',
      'a/b',
      'a b',
      'a\n',
      'ä',
      'a"',
      'x'.repeat(128),
    ]) {
      assert.equal(isLvName(name), ['vm-work-private', 'a.b+c_d'].includes(name), JSON.stringify(name));
    }
  });

  it('have their hyphens doubled by device-mapper', () => {
    assert.equal(deviceName('qubes-dom0', 'vm-pool', '_tmeta'), 'qubes--dom0-vm--pool_tmeta');
  });

  it('of our snapshots are spared by the rules of Qubes, and taken for no revision of a volume', () => {
    assert.match(own, /^vm-.*(?<!-back|-snap|-import)$/);
    assert.equal(snapshotId(own), '0123456789abcdef0123456789abcdef');
    assert.equal(snapshotId('vm-sparsebak-private'), undefined);
  });

  it('select volumes, and what Qubes keeps beside them by full name only', () => {
    const work = [
      'vm-work-private',
      'vm-work-private-snap',
      'vm-work-private-1700000000-back',
      'vm-work-private-import',
    ];
    const swap = ['vm-work-volatile', 'vm-work-volatile-snap', 'vm-work-root-snap'];
    const all = [...work, ...swap, 'vm-my-snap-private', 'vm-f-39-root', 'web', 'web-snap', 'db-snap', own];
    const select = (patterns: string[], excludes: string[] = []): string[] => selectNames(all, patterns, excludes);
    assert.deepEqual(select(['vm-*-private*']), ['vm-my-snap-private', 'vm-work-private']);
    assert.deepEqual(select(['*']), [
      'db-snap',
      'vm-f-39-root',
      'vm-my-snap-private',
      'vm-work-private',
      'web',
      'web-snap',
    ]);
    assert.deepEqual(select(['*', 'vm-work-private-snap'], ['web']), [
      'db-snap',
      'vm-f-39-root',
      'vm-my-snap-private',
      'vm-work-private',
      'vm-work-private-snap',
      'web-snap',
    ]);
    assert.deepEqual(select(['vm-work-volatile']), ['vm-work-volatile'], 'a full name finds anything');
    assert.deepEqual(selectNames(['web', 'web-replaced-17'], ['*'], []), ['web']);
    assert.deepEqual(select([own, 'vm-sparsebak-*']), []);
    assert.equal(runningName('vm-work-private'), 'vm-work-private-snap');
    assert.equal(runningName('web'), undefined, 'web-snap is what an administrator made');
    // While a qube stops, its volume is missing for a moment.
    assert.deepEqual(selectNames(work.slice(1), ['vm-*'], []), []);
  });
});

const ROW = {
  vg_uuid: 'G',
  lv_uuid: 'U',
  lv_attr: 'Vwi-a-t---',
  lv_size: '65536',
  lv_tags: '',
  lv_ancestors: '',
  pool_lv: 'pool',
  thin_id: '7',
  transaction_id: '6',
  data_percent: '1.00',
  metadata_percent: '',
  chunk_size: '0',
  lv_metadata_size: '',
};
const POOL = { ...ROW, lv_name: 'pool', lv_uuid: 'P', lv_attr: 'twi-aotz--', pool_lv: '', metadata_percent: '10.33' };
Object.assign(POOL, { chunk_size: '131072', lv_metadata_size: '4194304' });

function report(...rows: object[]) {
  return parseReport(JSON.stringify({ report: [{ lv: rows }] }), 'vg', 'pool');
}

describe('what lvs reports', () => {
  it('is the pool and its volumes', () => {
    const { volumes, data, metadata, block, names, metadataSize } = report(
      POOL,
      { ...ROW, lv_name: 'v' },
      { ...ROW, lv_name: 's', lv_uuid: 'S', lv_ancestors: 'v,image', lv_tags: 'a,b', lv_attr: 'Vri---t--k' },
      { ...ROW, lv_name: 'image', lv_uuid: 'I', lv_attr: 'ori-------', pool_lv: '', thin_id: '' },
      { ...ROW, lv_name: 'elsewhere', pool_lv: 'other' },
    );
    assert.deepEqual([...volumes.keys()], ['v', 's']);
    assert.deepEqual([data, metadata, block, metadataSize], [1, 10.33, 131_072, 4_194_304]);
    assert.ok(names.has('elsewhere') && names.has('image'), 'every name that is taken');
    assert.deepEqual(volumes.get('v')?.external, '');
    assert.deepEqual(volumes.get('s'), {
      ...{ name: 's', uuid: 'S', thinId: 7, transaction: 6, size: 65536, tags: ['a', 'b'] },
      ...{ active: false, open: false, external: 'I' },
    });
  });

  it('is refused where it is not that', () => {
    assert.throws(() => report(), { code: 'source' });
    assert.throws(() => report({ ...POOL, lv_attr: '-wi-a-----' }), { code: 'config' });
    assert.throws(() => report({ ...POOL, data_percent: '' }), { code: 'source' });
    assert.throws(() => report(POOL, { ...ROW, lv_name: 'v', thin_id: '-1' }), { code: 'source' });
    assert.throws(() => report(POOL, { lv_name: 'v' }), { code: 'source' });
    assert.throws(() => parseReport('{"report":[', 'vg', 'pool'), { code: 'source' });
  });
});

describe("a pool's status", () => {
  it('says whether its metadata are reserved', () => {
    const line = '0 2097152 thin-pool 16 423/4096 22/16384 - rw discard_passdown queue_if_no_space - 1024 \n';
    assert.equal(parseStatus(line, 'p').held, null);
    assert.equal(parseStatus(line.replace(' - rw', ' 45 rw'), 'p').held, 45);
    assert.equal(parseStatus(line.replace(' rw ', ' out_of_data_space '), 'p').held, null);
    for (const bad of ['', '0 2097152 thin-pool Fail', '0 2097152 linear', line.replace('thin-pool', 'thin')]) {
      assert.throws(() => parseStatus(bad, 'p'), { code: 'source' });
    }
  });
});
