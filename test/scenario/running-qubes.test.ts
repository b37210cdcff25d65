// Qubes that run while they are backed up, in a reflink pool as Qubes' own driver keeps it: what is saved of them, and
// what is said where something is not.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { ReflinkQubes } from '../fixtures/qubes/reflink-images.ts';
import { sendDocument, statusDocument } from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';

const xfs = ground('xfs');

const SAVED = [
  'appvms/dvm/private.img',
  'appvms/keep/private.img',
  'appvms/office/private.img',
  'vm-templates/debian/private.img',
  'vm-templates/debian/root.img',
];

async function qubesLab(t: TestContext, more?: string) {
  const path = xfs.folder();
  const volumes = ['*/*/*.img'];
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path, volumes, ...(more && { more }) }] });
  const qubes = new ReflinkQubes(path);
  const debian = qubes.template('debian');
  const office = qubes.app('office', 'debian');
  const dvm = qubes.app('dvm', 'debian');
  // Qubes keeps no revisions of it, and renames its only file.
  const keep = qubes.app('keep', 'debian', -1);
  const disposable = qubes.disposable('disp12', 'dvm', 'debian');
  await lab.init('--chunk-size', '64K');
  return { lab, debian, office, dvm, keep, disposable, file: (name: string) => join(path, name) };
}

describe('running qubes', { skip: xfs.skip }, () => {
  test('are saved as they run unless told otherwise, and nothing but what Qubes saves is (L9)', async (t) => {
    const { lab, office, keep, disposable, debian, file } = await qubesLab(t);
    const random = new Random('running qubes');
    const names = ({ volumes }: { volumes: readonly { name: string }[] }) => volumes.map(({ name }) => name);
    const stateOf = async (name: string) => (await lab.list(name)).volumes[0]?.sessions.at(-1)?.state;
    assert.deepEqual(names(await lab.send('--full')), SAVED);

    for (const qube of [office, keep, disposable]) {
      qube.start();
      qube.write('private', 100_000, random.bytes(5000));
      qube.write('root', 100_000, random.bytes(5000));
    }
    await lab.monitor();
    for (const qube of [office, keep]) qube.write('private', 500_000, random.bytes(5000));
    const sent = await lab.ask(sendDocument, ['send']);
    assert.deepEqual(names(sent), SAVED);
    assert.deepEqual(
      sent.volumes.map(({ kind, compared, running }) => [kind, compared, running]),
      SAVED.map((name) => [/office|keep/.test(name) ? 'incremental' : 'unchanged', false, undefined]),
    );
    for (const qube of ['office', 'keep']) {
      const volume = `appvms/${qube}/private.img`;
      assert.ok((await lab.restore(volume)).equals(readFileSync(file(`appvms/${qube}/private-dirty.img`))));
      assert.equal(await stateOf(volume), 'running');
    }
    assert.ok((await lab.ask(statusDocument, ['status'])).volumes.every(({ running }) => !running));

    debian.start();
    debian.write('root', 0, random.bytes(70_000));
    assert.deepEqual(names(await lab.ask(sendDocument, ['send'])), SAVED);
    assert.equal(await stateOf('vm-templates/debian/root.img'), 'running');
    for (const qube of [office, keep, disposable, debian]) qube.stop();
    const after = await lab.ask(sendDocument, ['send']);
    assert.deepEqual(
      after.volumes.map(({ name, compared }) => [name, compared]),
      SAVED.map((name) => [name, false]),
    );
    for (const name of SAVED) assert.ok((await lab.restore(name)).equals(readFileSync(file(name))), name);
    lab.assertNothingStray();
  });

  for (const more of ['state = "stopped"', undefined] as const) {
    const where = more === undefined ? 'a pool of files' : 'a pool of stopped states';
    test(`in ${where}: every send says of which volumes it lacks a running qube's work`, async (t) => {
      const { lab, office, file } = await qubesLab(t, 'state = "stopped"');
      const [pool] = lab.pools;
      if (more === undefined) lab.configure('', undefined, [{ ...pool!, type: 'file', more: '' }]);
      const volume = 'appvms/office/private.img';
      assert.ok((await lab.send('--full')).volumes.every(({ running }) => running === undefined));
      office.start();
      office.write('private', 0, Buffer.from('not saved'));
      const sent = await lab.ask(sendDocument, ['send']);
      assert.deepEqual(
        sent.volumes.filter(({ running }) => running === true).map(({ name, kind }) => [name, kind]),
        [[volume, 'unchanged']],
      );
      const text = (await lab.run(['send', volume])).expect(0).stdout;
      assert.match(
        text,
        /private\.img +unchanged.* its qube is running: what it has written since its start is not in the archive/,
      );
      const { volumes } = await lab.ask(statusDocument, ['status', volume]);
      assert.equal(volumes[0]?.running, true);
      office.stop();
      const after = await lab.ask(sendDocument, ['send']);
      assert.deepEqual(
        [only(after.volumes, volume).kind, only(after.volumes, volume).running],
        ['incremental', undefined],
      );
      assert.ok((await lab.restore(volume)).equals(readFileSync(file(volume))));
    });
  }
});
