// Whole qubes come back into thin pools: beside the saved one, and in its place, all volumes or none (I1, I8, I9).

import assert from 'node:assert/strict';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import type { Backup } from './guest-backup.ts';
import { noise } from './noise.ts';
import { MIB, QubesHost, SIZES } from './qubes-host.ts';
import { Wrappers } from './wrappers.ts';

const VOLUMES = ['private', 'root'] as const;
/** Longer, and shorter, than what a creation makes. */
const SAVED = { root: SIZES.root + 2 * MIB, private: SIZES.private - MIB };
const RESTORE = ['--json', 'qube', 'restore', 'alone'];
const REPLACE = [...RESTORE, '--replace', '--yes'];
const UNDO = [...RESTORE, '--undo', '--yes'];

type Contents = Readonly<Record<(typeof VOLUMES)[number], Buffer>>;

function contents(host: QubesHost, qube: string): Contents {
  return { private: host.read(`${qube}:private`), root: host.read(`${qube}:root`) };
}

function assertSame(host: QubesHost, qube: string, expected: Contents, what: string): void {
  for (const volume of VOLUMES) {
    const now = host.read(`${qube}:${volume}`);
    assert.equal(now.length, expected[volume].length, `${what}: size of ${volume}`);
    assert.ok(now.equals(expected[volume]), `${what}: ${volume}`);
  }
}

function assertWhole(backup: Backup, args: readonly string[], environment: NodeJS.ProcessEnv = {}): void {
  const { results } = JSON.parse(backup.run(args, environment).stdout) as {
    results: { result: string; remarks: unknown[] }[];
  };
  assert.deepEqual(
    results.map(({ result, remarks }) => ({ result, remarks })),
    [{ result: 'whole', remarks: [] }],
  );
}

/** A qube's own devices, without Qubes' revisions. */
function names(host: QubesHost, qube: string): string[] {
  return host.pool
    .names(`vm-${qube}-`)
    .filter((name) => !name.endsWith('-back'))
    .map((name) => name.replace(/\d{6,}$/, 'TIME'))
    .sort();
}

/** Starts and stops it: it must have seen the right bytes, of the right length. */
async function assertStarts(host: QubesHost, qube: string, expected: Contents): Promise<void> {
  await host.start(qube);
  for (const volume of VOLUMES) {
    assert.equal(host.device(`${qube}:${volume}`), `vm-${qube}-${volume}-snap`);
    assert.equal(await host.size(`${qube}:${volume}`), expected[volume].length);
  }
  assertSame(host, qube, expected, 'as it runs');
  await host.stop(qube);
  assertSame(host, qube, expected, 'after it ran');
}

/** A standalone qube whose volumes have neither the size of new ones nor that of each other. */
async function addAlone({ qubesd, pool }: QubesHost, random: Random): Promise<void> {
  await qubesd.addQube('alone', { klass: 'StandaloneVM', data: { root: MIB } });
  await qubesd.ok('admin.vm.volume.Resize', 'alone', 'root', String(SAVED.root));
  pool.write('vm-alone-root', SAVED.root - 1000, random.bytes(1000));
  const size = SAVED.private;
  const [, path = ''] = (await qubesd.control({ do: 'importBegin', qube: 'alone', volume: 'private', size })).split(
    ' ',
  );
  writeFileSync(path, noise(random, size), { flag: 'r+' });
  await qubesd.control({ do: 'importEnd', qube: 'alone', volume: 'private', result: 'ok' });
  await qubesd.ok('admin.vm.tag.Set', 'alone', 'mine');
}

describe('qubes of a thin pool', () => {
  it('come back under a new name and in their place, all volumes or none; killed between two names, the next run heals', async (t) => {
    const host = await QubesHost.start(t);
    const { qubesd, pool } = host;
    const random = new Random('qubes restored');
    await addAlone(host, random);
    const backup = host.backup(t, ['alone']);
    const wrappers = new Wrappers('/tmp/wrappers');
    backup.send(['--full']);
    const saved = contents(host, 'alone');

    assertWhole(backup, [...RESTORE, '--as', 'copy'], wrappers.environment());
    console.log(`a restore of two volumes: ${JSON.stringify(wrappers.counts())}`);
    assert.deepEqual(names(host, 'copy'), ['vm-copy-private', 'vm-copy-root']);
    assertSame(host, 'copy', saved, 'the copy');
    await assertStarts(host, 'copy', saved);
    assert.match(await qubesd.ok('admin.vm.tag.List', 'copy'), /^mine$/m);

    await qubesd.ok('admin.vm.volume.Resize', 'alone', 'root', String(SAVED.root + MIB));
    for (const volume of VOLUMES) host.write(`alone:${volume}`, random.int(MIB / 2), random.bytes(100_000));
    await qubesd.ok('admin.vm.tag.Remove', 'alone', 'mine');
    const later = contents(host, 'alone');
    const killedAfter = (args: readonly string[], containing: string): void =>
      backup.killedAtCall(args, wrappers.environment({ when: 'after', containing }));

    killedAfter(REPLACE, 'vm-alone-private vm-alone-private-replaced');
    const nameless = ['vm-alone-private-replaced-TIME', 'vm-alone-private-restored-TIME'];
    assert.deepEqual(names(host, 'alone'), [...nameless, 'vm-alone-root', 'vm-alone-root-restored-TIME']);
    const refused = await qubesd.call('admin.vm.Start', 'alone');
    assert.match(refused.kind === 'exception' ? refused.message : '', /Restore of this domain in progress/);
    // Qubes looks at its volumes in this moment, and takes a revision for the one without its name.
    await qubesd.ok('admin.vm.volume.Resize', 'copy', 'private', String(SAVED.private + MIB));
    assert.match((await qubesd.volume('alone', 'private')).path ?? '', /-back$/);

    // The first volume has its place, and the second cannot have it: neither has.
    const used = openSync(pool.path('vm-alone-root'), 'r');
    const { stdout } = backup.run(REPLACE, {}, 3);
    assert.match(stdout, /alone:root cannot be exchanged: it is open/);
    closeSync(used);
    assertSame(host, 'alone', later, 'none was exchanged');
    killedAfter(REPLACE, `lvrename ${pool.group} vm-alone-root-restored`);
    assertWhole(backup, REPLACE);
    for (const name of pool.names('vm-alone-')) assert.equal(pool.isActive(name), !name.includes('-replaced-'), name);
    const kept = VOLUMES.flatMap((volume) => [`vm-alone-${volume}`, `vm-alone-${volume}-replaced-TIME`]);
    assert.deepEqual(names(host, 'alone'), kept);
    assertSame(host, 'alone', saved, 'replaced');
    await assertStarts(host, 'alone', saved);
    assert.match(await qubesd.ok('admin.vm.tag.List', 'alone'), /^mine$/m);

    assertWhole(backup, UNDO);
    assert.deepEqual(names(host, 'alone'), kept);
    assertSame(host, 'alone', later, 'undone');
    assert.doesNotMatch(await qubesd.ok('admin.vm.tag.List', 'alone'), /^mine$/m);
    backup.assertTidy(VOLUMES.length);
  });
});
