// Volumes that a run should have saved and could not: every one is named, and the others are saved.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type * as z from '../../shared/zod.ts';
import {
  dryRunDocument,
  errorDocument,
  monitorDocument,
  sendDocument,
  statusDocument,
  verifyDocument,
  type SendDocument,
} from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';

const xfs = ground('xfs');
const plain = ground('plain');
const { skip } = xfs;

const kinds = ({ volumes }: Pick<SendDocument, 'volumes'>) =>
  Object.fromEntries(volumes.map(({ name, kind }) => [name, kind]));

interface Told {
  readonly name: string;
  readonly error?: { code: string; message: string; hint?: string | undefined } | undefined;
}

/** What each command that looks at pools says of a name; all of them with this exit status. */
async function toldOf(lab: BackupSystem, name: string, status: number): Promise<Told[]> {
  const commands: [string[], z.ZodMiniType<{ volumes: readonly Told[] }>][] = [
    [['send', '--dry-run'], dryRunDocument],
    [['monitor'], monitorDocument],
    [['status'], statusDocument],
    [['send'], sendDocument],
  ];
  const told: Told[] = [];
  for (const [args, schema] of commands) {
    const { volumes } = (await lab.run([...args, '--json'])).expect(status).json(schema);
    told.push(...volumes.filter((each) => each.name === name));
  }
  return told;
}

describe('a volume that was there at the last send', { skip }, () => {
  test('is named while it is gone, until it is back, excluded, or deleted from the archive', async (t) => {
    const path = xfs.folder();
    const pool = { name: 'main', type: 'reflink', path, volumes: ['*.img'] } as const;
    const lab = new BackupSystem(t, { pools: [pool] });
    for (const name of ['a.img', 'b.img']) lab.write(name, Buffer.from(name));
    await lab.init();
    await lab.send('--full');
    renameSync(lab.path('b.img'), join(path, 'elsewhere'));
    for (const { error } of await toldOf(lab, 'b.img', 3)) {
      assert.equal(error?.code, 'not-found');
      assert.match(error.message, /b\.img is not there/);
      assert.match(error.hint ?? '', /exclude it in pool\.main.*sparsebak delete b\.img/);
    }
    assert.equal((await toldOf(lab, 'b.img', 3)).length, 4);
    const text = (await lab.run(['send'])).expect(3).stdout;
    assert.match(text, /^a\.img +unchanged/m);
    assert.match(text, /^b\.img +failed .* b\.img is not there$/m);
    assert.match(text, /→ b\.img: If it is gone permanently, exclude it/);
    assert.deepEqual(kinds(await lab.ask(sendDocument, ['send', 'a.img'])), { 'a.img': 'unchanged' });
    assert.deepEqual(kinds((await lab.run(['send', 'b.img', '--json'])).expect(3).json(sendDocument)), {
      'b.img': 'failed',
    });

    lab.configure('', undefined, [{ ...pool, exclude: ['b.img'] }]);
    assert.deepEqual(kinds(await lab.send()), { 'a.img': 'unchanged' });
    lab.configure();
    renameSync(join(path, 'elsewhere'), lab.path('b.img'));
    assert.deepEqual(kinds(await lab.send()), { 'a.img': 'unchanged', 'b.img': 'unchanged' });
    rmSync(lab.path('b.img'));
    (await lab.run(['delete', 'b.img', '--yes'])).expect(0);
    assert.deepEqual(kinds(await lab.send()), { 'a.img': 'unchanged' });
    await lab.monitor();
  });

  test('is named where a pool of files is empty; and so is a pattern that matches nothing from the first', async (t) => {
    const path = plain.folder();
    const pool = { name: 'main', type: 'file', path, volumes: ['*.img', 'x/*'] } as const;
    const lab = new BackupSystem(t, { pools: [pool] });
    await lab.init();
    assert.deepEqual(kinds((await lab.run(['send', '--full', '--json'])).expect(3).json(sendDocument)), {
      '*.img': 'skipped',
      'x/*': 'skipped',
    });
    for (const name of ['a.img', 'b.img']) lab.write(name, Buffer.from(name));
    const [told] = await toldOf(lab, 'x/*', 3);
    assert.deepEqual(
      [told?.error?.code, told?.error?.message],
      ['no-match', 'pool main has no volume that this pattern matches'],
    );
    lab.configure('', undefined, [{ ...pool, volumes: ['*.img'] }]);
    await lab.send('--full');
    renameSync(path, `${path}.away`);
    mkdirSync(path);
    assert.deepEqual(kinds((await lab.run(['send', '--json'])).expect(3).json(sendDocument)), {
      'a.img': 'failed',
      'b.img': 'failed',
    });
    rmSync(path, { recursive: true });
    renameSync(`${path}.away`, path);
    lab.configure('', undefined, [{ ...pool, volumes: ['*.img', 'c*'], exclude: ['c*'] }]);
    writeFileSync(join(path, 'c.img'), 'c');
    assert.deepEqual(kinds(await lab.send()), { 'a.img': 'unchanged', 'b.img': 'unchanged' });
  });
});

describe('a pool that is away', { skip }, () => {
  test('is told of its volumes, and keeps the other pool from nothing', async (t) => {
    const [one, two] = [xfs.folder(), plain.folder()];
    const lab = new BackupSystem(t, {
      pools: [
        { name: 'one', type: 'reflink', path: one, volumes: ['*.img'] },
        { name: 'two', type: 'file', path: two, volumes: ['*.raw', 'named'] },
      ],
    });
    for (const name of ['a.img', 'b.img']) lab.write(name, Buffer.from(name));
    for (const name of ['c.raw', 'named']) writeFileSync(join(two, name), name);
    await lab.init();
    await lab.send('--full');
    renameSync(two, `${two}.away`);
    writeFileSync(lab.path('a.img'), 'changed');
    const sent = (await lab.run(['send', '--json'])).expect(3).json(sendDocument);
    assert.deepEqual(kinds(sent), {
      'a.img': 'incremental',
      'b.img': 'unchanged',
      'c.raw': 'failed',
      named: 'failed',
    });
    assert.match(only(sent.volumes, 'c.raw').error!.message, /the pool is not there/);
    for (const { error } of await toldOf(lab, 'named', 3)) assert.match(error!.message, /the pool is not there/);
    assert.match((await lab.run(['send'])).expect(3).stdout, /^b\.img +unchanged/m);
    assert.match((await lab.run(['monitor'])).expect(3).stdout, /^a\.img .*0 chunks/m);
    assert.deepEqual(kinds(await lab.ask(sendDocument, ['send', 'a.img'])), { 'a.img': 'unchanged' });
    assert.deepEqual(kinds((await lab.run(['send', 'c.raw', '--json'])).expect(3).json(sendDocument)), {
      'c.raw': 'failed',
    });
    (await lab.run(['send', 'nowhere'])).expect(1);

    renameSync(one, `${one}.away`);
    const none = (await lab.run(['send', '--json'])).expect(3).json(sendDocument);
    assert.ok(none.volumes.length === 4 && none.volumes.every(({ kind }) => kind === 'failed'));
    renameSync(`${one}.away`, one);
    lab.configure('', undefined, [lab.pools[0]!, { ...lab.pools[1]!, volumes: ['new*'] }]);
    const unknown = (await lab.run(['send', '--json'])).expect(3).json(sendDocument);
    assert.deepEqual(kinds(unknown), { 'a.img': 'unchanged', 'b.img': 'unchanged', 'pool two': 'failed' });
  });

  test('though its folder is there, where fstab says that something is to be mounted', async (t) => {
    const path = plain.folder();
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path, volumes: ['*.img'] }] });
    lab.write('a.img', Buffer.from('beneath the mount point'));
    await lab.init();
    const fstab = join(lab.folder, 'fstab');
    writeFileSync(fstab, `/dev/nothing ${path} xfs noauto 0 0\n`);
    // In a mount namespace of its own.
    const inside = ['unshare', '--mount', 'sh', '-c', `mount --bind ${fstab} /etc/fstab && exec "$@"`, 'sh'];
    const ran = (await lab.run(['send', '--full', '--json'], { wrapper: inside })).expect(3).json(sendDocument);
    assert.deepEqual(kinds(ran), { 'pool main': 'failed' });
    assert.match(ran.volumes[0]!.error!.message, new RegExp(`${path} is not mounted`));
    // Nor is anything restored to what will be covered.
    await lab.send('--full');
    for (const to of [['--as', 'b.img'], ['--replace'], ['--to', join(path, 'c.img')]]) {
      const refused = (await lab.run(['restore', 'a.img', ...to], { wrapper: inside })).expect(1);
      assert.match(refused.stderr, new RegExp(`${path} is not mounted\\n {2}→ .*mount ${path}`));
    }
    assert.deepEqual(readdirSync(path), ['a.img']);
  });
});

describe('a run that is cut off', { skip }, () => {
  test('shows what it did all the same', async (t) => {
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: xfs.folder() }] });
    for (const name of ['a.img', 'b.img', 'c.img']) lab.write(name, Buffer.from(name));
    await lab.init();
    const died = { from: 'agent', what: 'begin', nth: 2, action: 'kill-receiver' } as const;
    const sent = (await lab.run(['send', '--full', '--json'], lab.interposed(died))).expect(5).json(sendDocument);
    assert.deepEqual(kinds(sent), { 'a.img': 'full', 'b.img': 'failed', 'c.img': 'failed' });
    assert.equal(sent.error?.code, 'unreachable');
    const again = await lab.run(['send', '--full'], lab.interposed({ ...died, nth: 1 }));
    assert.match(again.expect(5).stdout, /^b\.img +failed/m);
    assert.match(again.stderr, /^sparsebak: /m);
    await lab.send('--full');

    const second = { from: 'agent', what: 'get-chunks', nth: 2, action: 'kill-receiver' } as const;
    const verified = await lab.run(['verify', '--json'], lab.interposed(second));
    const { sessions, error } = verified.expect(5).json(verifyDocument);
    assert.deepEqual(
      sessions.map(({ name, chunks, error: found }) => [name, chunks, found?.code]),
      [
        ['a.img', 1, undefined],
        ['b.img', 0, 'unreachable'],
      ],
    );
    assert.equal(error?.code, 'unreachable');
    assert.match((await lab.run(['verify'], lab.interposed(second))).expect(5).stdout, /^a\.img .*verified$/m);
  });
});

describe('an archive or a state folder that lies in a pool', { skip: plain.skip }, () => {
  test('is refused by every command that looks for volumes, and can still be restored from', async (t) => {
    // Where the archive lies in another computer, no path says so.
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }], link: 'local' });
    lab.write('a.img', Buffer.from('a'));
    await lab.init();
    await lab.send('--full');
    const link = join(lab.folder, 'link');
    symlinkSync(lab.folder, link);
    for (const path of [lab.folder, lab.root, link, lab.stateDir]) {
      lab.configure('', undefined, [{ ...lab.pools[0]!, path }]);
      for (const command of [['send'], ['send', '--dry-run'], ['monitor'], ['status'], []]) {
        const { error } = (await lab.run([...command, '--json'])).expect(2).json(errorDocument);
        assert.match(error.message, /(the archive "laptop"|state folder) .* and pool\.main .* contain one another/);
        assert.match(error.hint ?? '', /^Move (the destination|state_dir) out of the pool/);
      }
      assert.equal((await lab.restore('a.img')).toString(), 'a');
    }
    const other = new BackupSystem(t, {
      pools: [{ name: 'main', type: 'file', path: lab.root }],
      root: lab.root,
      archive: 'new',
      link: 'local',
    });
    const made = await other.run(['init', '--passphrase-file', join(other.folder, 'passphrase')]);
    assert.match(made.expect(0).stderr, /nothing can be sent/);
  });
});
