// An archive with either MAC through its life: the choice of init, sends, a second dom0 that takes it over, prune,
// deduplication; and an archive of a newer release.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type * as z from '../../shared/zod.ts';
import { decodeRecord } from '../../dom0-agent/content/keys.ts';
import { fasterMac } from '../../dom0-agent/content/mac-speed.ts';
import { decodeMap, encodeMap } from '../../shared/wire/msgpack.ts';
import { Random } from '../fixtures/random.ts';
import { BackupSystem } from './backup-system.ts';
import { initDocument, unlockDocument } from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';

const CHUNK = 64 * 1024;
const plain = ground('plain');

function systemOf(t: TestContext): BackupSystem {
  return new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
}

const recordFile = ({ stateDir, archive }: BackupSystem): string => join(stateDir, 'archives', archive, 'record');
const identityOf = (lab: BackupSystem): string | undefined => decodeRecord(readFileSync(recordFile(lab))).identity;

async function initialised(lab: BackupSystem, ...options: string[]): Promise<z.infer<typeof initDocument>> {
  const passphrase = join(lab.folder, 'passphrase');
  return await lab.ask(initDocument, ['init', '--passphrase-file', passphrase, '--chunk-size', '64K', ...options]);
}

for (const [choice, ...options] of [
  ['blake2b'],
  ['sha256'],
  ['sha256', '--encryption', 'off'],
  ['sha256', '--dedup', 'on'],
] as const) {
  test(`an archive with --identity ${[choice, ...options].join(' ')} lives as any does`, async (t) => {
    const random = new Random(`identity ${[choice, ...options].join(' ')}`);
    const lab = systemOf(t);
    const made = await initialised(lab, '--identity', choice, ...options);
    assert.deepEqual([made.identity, made.identityRates], [choice, undefined]);
    assert.equal(identityOf(lab), choice === 'sha256' ? 'sha256' : undefined);

    lab.write('a.img', random.bytes(5 * CHUNK + 100));
    await lab.send('--full');
    writeAt(lab.path('a.img'), 2 * CHUNK, random.bytes(50));
    const { session: second, volumes } = await lab.send();
    assert.deepEqual(
      volumes.map(({ kind, chunks }) => [kind, chunks]),
      [['incremental', 1]],
      'identities of the first session are those of the second',
    );
    assert.equal((await lab.send()).session, null);
    await lab.verifyAll();
    await lab.compareAll();

    const successor = new BackupSystem(t, { pools: lab.pools, root: lab.root });
    await successor.ask(unlockDocument, [
      ...['key', 'unlock', '--passphrase-file', join(successor.folder, 'passphrase')],
    ]);
    assert.equal(identityOf(successor), identityOf(lab), 'it is in the key slot');
    (await successor.run(['adopt', '--yes'])).expect(0);
    for (const [volume, sessions] of lab.kept) successor.kept.set(volume, new Map(sessions));
    const sent = await successor.send();
    assert.equal(sent.session, null, 'compared in full, and each chunk has the same identity there');
    writeAt(lab.path('a.img'), 4 * CHUNK, random.bytes(50));
    await successor.send();
    (await successor.run(['prune', 'a.img', '--session', second!])).expect(0);
    successor.pruned('a.img', [second!]);
    await successor.verifyAll();
    await successor.compareAll();
  });
}

test('init takes the faster MAC on this machine, and says both rates', async (t) => {
  const { identity, identityRates } = await initialised(systemOf(t));
  assert.ok(identityRates !== undefined);
  assert.equal(identity, fasterMac(identityRates));
  const lab = systemOf(t);
  const shown = await lab.run(['init', '--passphrase-file', join(lab.folder, 'passphrase')]);
  assert.match(
    shown.expect(0).stdout,
    /^Chunks are identified with HMAC-(BLAKE2b|SHA-256): measured here, BLAKE2b does \d+ MB\/s, SHA-256 \d+\.$/m,
  );
  (await systemOf(t).run(['init', '--identity', 'md5', '--passphrase-file', 'x'])).expect(2);
});

test('equal chunks are stored once with either MAC, and are not where that was not asked for', async (t) => {
  for (const [identity, dedup, stored] of [
    ['blake2b', 'on', 1],
    ['sha256', 'on', 1],
    ['sha256', 'off', 4],
  ] as const) {
    const lab = systemOf(t);
    const one = new Random(`equal chunks ${identity}`).bytes(CHUNK);
    await initialised(lab, '--identity', identity, '--dedup', dedup);
    lab.write('a.img', Buffer.concat([one, one, one]));
    lab.write('b.img', one);
    await lab.send('--full');
    assert.equal(storedChunks(lab).size, stored, `${identity}, dedup ${dedup}`);
    await lab.compareAll();
  }
});

/** The inodes of all chunks that hold data. */
function storedChunks({ root, archive }: BackupSystem): Set<number> {
  const folder = join(root, archive, 'volumes');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return new Set(
    names.flatMap((name) => {
      if (!/\/[0-9a-f]{16}$/.test(name)) return [];
      const { size, ino } = statSync(join(folder, name));
      return size === 0 ? [] : [ino];
    }),
  );
}

test('an init that did not finish keeps its MAC: another one is refused', async (t) => {
  const lab = systemOf(t);
  const init = ['init', '--passphrase-file', join(lab.folder, 'passphrase'), '--chunk-size', '64K'];
  const killed = lab.interposed({ from: 'agent', what: 'create', action: 'kill-agent' });
  (await lab.run([...init, '--identity', 'sha256'], killed)).expectKilled();
  assert.match((await lab.run([...init, '--identity', 'blake2b'])).expect(2).stderr, /with other options/);
  const { stdout } = (await lab.run(init)).expect(0);
  assert.match(stdout, /^Chunks are identified with HMAC-SHA-256, which the earlier init chose\.$/m);
  assert.equal(identityOf(lab), 'sha256');
});

test('an archive of a newer release is not called damaged, whatever the command', async (t) => {
  const lab = systemOf(t);
  await initialised(lab);
  const record = decodeMap(readFileSync(recordFile(lab)));
  writeFileSync(recordFile(lab), encodeMap({ ...record, identity: 'kmac' }));
  for (const command of [['send'], ['list'], ['status'], ['verify'], ['key', 'list']]) {
    const { stderr } = (await lab.run(command)).expect(2);
    assert.match(stderr, /^sparsebak: the archive was made by a newer release of sparsebak .*"identity"/m);
    assert.match(stderr, /Upgrade sparsebak on this computer/);
    assert.doesNotMatch(stderr, /is damaged\n|corrupt/);
  }
});
