// A dead backup disk was replaced by an empty one, or the backup VM pretends so: a new archive takes the name, and
// nothing that the computer knew of the old one is lost.

import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { errorDocument, initDocument, listDocument, unlockDocument } from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const plain = ground('plain');
const btrfs = ground('btrfs');

interface Scene {
  readonly lab: BackupSystem;
  readonly random: Random;
  readonly state: string;
  readonly archive: string;
  readonly init: readonly string[];
}

async function scene(t: TestContext, type: 'file' | 'reflink' = 'file'): Promise<Scene> {
  const random = new Random('new disk');
  const path = (type === 'file' ? plain : btrfs).folder();
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type, path }] });
  lab.write('a.img', random.bytes(300_000));
  await lab.init('--chunk-size', '64K');
  await lab.send('--full');
  const state = join(lab.stateDir, 'archives', lab.archive);
  const init = ['init', '--json', '--chunk-size', '64K', '--passphrase-file', join(lab.folder, 'passphrase')];
  return { lab, random, state, archive: join(lab.root, lab.archive), init };
}

test('the way that is pointed to leads to a backup of the same name, and back to the old one', async (t) => {
  const { lab, random, state, archive, init } = await scene(t);
  const record = readFileSync(join(state, 'record'));
  const pin = readFileSync(join(state, 'current'));
  const hidden = join(lab.folder, 'hidden');
  renameSync(archive, hidden);
  for (const args of [['send'], ['list'], ['verify']]) {
    const { error } = (await lab.run(['--json', ...args])).expect(4).json(errorDocument);
    assert.match(error.hint ?? '', /"sparsebak init" creates a new archive/);
  }
  const made = (await lab.run(init)).expect(0);
  const { aside = '', id } = made.json(initDocument);
  assert.ok(aside.startsWith(join(lab.stateDir, 'set-aside', `${lab.archive}-`)));
  assert.match(made.stderr, new RegExp(`a new one is created.*kept in ${aside}`));
  assert.ok(readFileSync(join(aside, 'record')).equals(record) && readFileSync(join(aside, 'current')).equals(pin));
  lab.kept.clear();
  await lab.send('--full');
  writeAt(lab.path('a.img'), 1000, random.bytes(50));
  await lab.send();
  await lab.compareAll();
  assert.match((await lab.run(init)).expect(1).stderr, /exists already/);

  // It was only hidden: neither is taken for the other, and the old state still knows how far the old one was.
  renameSync(archive, join(lab.folder, 'new'));
  renameSync(hidden, archive);
  for (const args of [['list'], init]) {
    const { error } = (await lab.run(['--json', ...args])).expect(4).json(errorDocument);
    assert.match(`${error.message} ${error.hint}`, /holds another archive.*key unlock --again/);
  }
  renameSync(state, join(lab.stateDir, 'set-aside/new'));
  renameSync(aside, state);
  const old = await lab.list();
  assert.equal(old.volumes[0]?.sessions.length, 1);
  assert.equal((await lab.send()).volumes[0]?.kind, 'incremental');
  assert.notEqual(id, undefined);
});

test('an init that cannot go through leaves what the computer knew where it was', async (t) => {
  const { lab, state, archive, init } = await scene(t);
  const before = readFileSync(join(state, 'current'));
  assert.match((await lab.run(init)).expect(1).stderr, /exists already/);
  const hidden = join(lab.folder, 'hidden');
  renameSync(archive, hidden);
  const taken = join(lab.folder, 'taken');
  writeFileSync(taken, 'x');
  (await lab.run([...init, '--recovery-key-file', taken])).expect(2);
  // The root itself is gone, so nothing is known of the archive.
  renameSync(lab.root, `${lab.root}-away`);
  assert.notEqual((await lab.run(init)).status, 0);
  renameSync(`${lab.root}-away`, lab.root);
  assert.ok(readFileSync(join(state, 'current')).equals(before));
  assert.deepEqual(readdirSync(join(lab.stateDir, 'set-aside')), []);
  // Cut off after the archive was made: the next one goes on with it.
  const { aside } = await cutOff(lab, init);
  assert.ok(existsSync(join(lab.stateDir, 'set-aside', aside)));
  await lab.ask(
    initDocument,
    init.filter((each) => each !== '--json'),
  );
  renameSync(archive, join(lab.folder, 'other'));
  renameSync(hidden, archive);
  const again = ['key', 'unlock', '--again', '--passphrase-file', join(lab.folder, 'passphrase')];
  const unlocked = await lab.ask(unlockDocument, again);
  assert.equal(unlocked.knew?.sequence, 1);
  assert.notEqual(unlocked.knew.id, unlocked.id);
  (await lab.run(['list', '--json'])).expect(0).json(listDocument);
});

async function cutOff(lab: BackupSystem, init: readonly string[]): Promise<{ aside: string }> {
  const plan = { from: 'receiver', what: 'done to create', action: 'kill-agent' } as const;
  (await lab.run(init, lab.interposed(plan))).expectKilled();
  const [aside] = readdirSync(join(lab.stateDir, 'set-aside'));
  return { aside: aside! };
}

test('a send to the lost archive that was cut off holds no snapshot any more', { skip: btrfs.skip }, async (t) => {
  const { lab, random, archive, init } = await scene(t, 'reflink');
  writeAt(lab.path('a.img'), 1000, random.bytes(50));
  const plan = { from: 'agent', what: 'commit', action: 'kill-agent' } as const;
  (await lab.run(['send'], lab.interposed(plan))).expectKilled();
  const tocks = () => lab.pairings().flatMap(({ pending }) => pending.flatMap(({ tock }) => tock ?? []));
  assert.equal(tocks().length, 1);
  // In one step: the receiver of the killed agent may still write into it.
  renameSync(archive, join(lab.folder, 'dead-disk'));
  (await lab.run(init)).expect(0);
  assert.equal(tocks().length, 0);
  lab.kept.clear();
  await lab.send('--full');
  await lab.compareAll();
  lab.assertNothingStray();
});

test(
  'G3 who forgets sudo is told so, and that nothing is damaged',
  { skip: process.getuid?.() !== 0 && 'not root' },
  async (t) => {
    const { lab } = await scene(t);
    chmodSync(lab.folder, 0o755);
    chmodSync(lab.config, 0o644);
    const wrapper = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
    for (const args of [
      ['list'],
      ['send'],
      ['monitor'],
      ['status'],
      ['init'],
      ['key', 'list'],
      ['key', 'unlock'],
      ['adopt', '--yes'],
    ]) {
      const ran = await lab.run(['--json', ...args], { wrapper, cwd: '/' });
      const { error } = ran.expect(2).json(errorDocument);
      assert.match(error.message, /no access to the state/, ran.describe());
      assert.match(error.hint ?? '', /as root: sudo/);
    }
  },
);
