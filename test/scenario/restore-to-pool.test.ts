// Restores back into a pool that is a folder: as a new volume, and in the place of another, which is kept (G6, I1).

import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { restoreDocument } from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';
import type { Ran } from './program.ts';

const CHUNK = 64 * 1024;

for (const type of ['xfs', 'plain'] as const) {
  const place = ground(type);
  const { skip } = place;
  const kind = type === 'plain' ? 'file' : 'reflink';

  const sentOnce = async (
    t: TestContext,
    random: Random,
  ): Promise<{ lab: BackupSystem; content: Buffer; folder: string }> => {
    const folder = place.folder();
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: kind, path: folder }] });
    const content = Buffer.concat([random.bytes(3 * CHUNK), Buffer.alloc(5 * CHUNK), random.bytes(CHUNK + 17)]);
    lab.write('work/private.img', content);
    await lab.init('--chunk-size', '64K');
    await lab.send('--full');
    return { lab, content, folder };
  };
  const refused = (ran: Ran, words: RegExp): void => {
    assert.ok(ran.status === 1 || ran.status === 2, ran.describe());
    assert.match(ran.stderr, words);
  };

  test(`${kind}: a new volume, and never over one that is there`, { skip }, async (t) => {
    const { lab, content, folder } = await sentOnce(t, new Random('as'));
    const as = (name: string, ...more: string[]) =>
      lab.run(['--json', 'restore', 'work/private.img', '--as', name, ...more]);
    const restored = (await as('work/again.img')).expect(0).json(restoreDocument);
    assert.equal(restored.to, join(folder, 'work/again.img'));
    assert.equal(restored.kept, undefined);
    assert.ok(readFileSync(restored.to).equals(content));
    assert.ok(statSync(restored.to).blocks * 512 < 7 * CHUNK, 'zeros are not written');
    refused(await as('work/again.img'), /exists already/);
    refused(await as('work/private.img', '--pool', 'main'), /exists already/);
    refused(await as('none/a.img'), /is not a folder/);
    refused(await as('../a.img'), /not a path within the pool/);
    refused(await as('a.img', '--force'), /--force is only allowed with --to/);
    refused(await as('a.img', '--to', 'x'), /only one place/);
    refused(await as('a.img', '--pool', 'other'), /no pool "other"/);
    assert.deepEqual(readdirSync(join(folder, 'work')).sort(), ['again.img', 'private.img']);
  });

  test(`${kind}: in the place of a volume, which is kept, unless it is in use`, { skip }, async (t) => {
    const { lab, content, folder } = await sentOnce(t, new Random('replace'));
    const path = join(folder, 'work/private.img');
    const spoilt = Buffer.alloc(2 * CHUNK, 0x55);
    writeFileSync(path, spoilt, { mode: 0o640 });
    const { mode } = statSync(path);
    const replace = (...more: string[]) => lab.run(['--json', 'restore', 'work/private.img', '--replace', ...more]);

    const dirty = path.replace('.img', '-dirty.img');
    writeFileSync(dirty, '');
    refused(await replace(), /its qube is running/);
    rmSync(dirty);
    const importing = path.replace('.img', '-import.img');
    writeFileSync(importing, '');
    refused(await replace(), /Qubes is importing it: private-import\.img is beside it/);
    rmSync(importing);
    writeFileSync(join(folder, 'other.img'), 'other');
    refused(
      await lab.run(['restore', 'work/private.img', '--as', 'other.img']),
      /--replace would not replace it, but work\/private\.img itself/,
    );
    rmSync(join(folder, 'other.img'));
    const open = openSync(path, 'r');
    refused(await replace(), new RegExp(`process ${process.pid}`));
    closeSync(open);
    const loop = spawnSync('losetup', ['--find', '--show', '--read-only', path], { encoding: 'utf8' }).stdout.trim();
    if (loop !== '') {
      refused(await replace(), new RegExp(loop));
      spawnSync('losetup', ['--detach', loop]);
    }
    assert.ok(readFileSync(path).equals(spoilt), 'nothing happened to it');

    const { kept = '' } = (await replace()).expect(0).json(restoreDocument);
    assert.ok(readFileSync(path).equals(content));
    assert.match(kept, /^private\.img\.replaced-\d+$/);
    assert.ok(readFileSync(join(folder, 'work', kept)).equals(spoilt));
    assert.equal(statSync(path).mode, mode);
    assert.deepEqual(readdirSync(join(folder, 'work')).sort(), ['private.img', kept]);
    // What was kept is no volume of its own.
    assert.deepEqual(
      (await lab.send()).volumes.map(({ name }) => name),
      ['work/private.img'],
    );
    assert.ok((await lab.restore('work/private.img')).equals(content));

    rmSync(path);
    refused(await replace(), /no .* to be replaced/);
  });

  test(`I1 ${kind}: killed or damaged, it leaves the old volume as it was`, { skip }, async (t) => {
    const { lab, content, folder } = await sentOnce(t, new Random('replace killed'));
    const path = join(folder, 'work/private.img');
    const spoilt = Buffer.alloc(2 * CHUNK, 0x55);
    writeFileSync(path, spoilt);
    const replace = ['restore', 'work/private.img', '--replace'];
    const plan = { from: 'receiver', what: 'done to get-chunks', action: 'kill-agent' } as const;
    (await lab.run(replace, lab.interposed(plan))).expectKilled();
    assert.ok(readFileSync(path).equals(spoilt));
    assert.equal(readdirSync(join(folder, 'work')).length, 2, 'what was half written is beside it');
    await lab.send();
    const { volumes } = await lab.list();
    assert.equal(volumes.length, 1, 'and is no volume');
    const session = volumes[0]!.sessions[0]!.session;
    (await lab.run([...replace, '--session', session])).expect(0);
    assert.ok(readFileSync(path).equals(content));
    assert.equal(readdirSync(join(folder, 'work')).length, 2, 'only what was replaced');
    assert.ok(!existsSync(`${path}.sparsebak-partial-${process.pid}`));
  });
}
