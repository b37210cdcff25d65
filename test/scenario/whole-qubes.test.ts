// Whole qubes are saved: which, with what settings, and what is said when qubes or qubesd change. On real reflink
// pools, beside the stand-in of qubesd.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { decodeSettings, type Settings } from '../../dom0-agent/qubes/settings.ts';
import { Qubesd, type QubesdOptions } from '../fixtures/qubesd/qubesd.ts';
import { Random } from '../fixtures/random.ts';
import { BackupSystem, only, type SystemPool } from './backup-system.ts';
import { listDocument, sendDocument } from './documents.ts';
import { ground } from './mounts.ts';

/** The folder of the qube `work` in its pool. */
const WORK = 'appvms/work';

const xfs = ground('xfs');
const btrfs = ground('btrfs');

interface Host {
  readonly lab: BackupSystem;
  readonly qubesd: Qubesd;
  readonly path: string;
  /** The section [qubes], with these lines, and the pools. */
  readonly select: (lines: string, more?: string) => void;
  readonly settings: (qube: string, session?: string) => Promise<Settings>;
}

interface ListedQubes {
  readonly qubes: readonly { readonly here: unknown }[];
}

interface HostOptions {
  readonly path?: string;
  readonly pools?: readonly SystemPool[];
  readonly qubesd?: Partial<QubesdOptions>;
}

async function host(t: TestContext, lines: string, { path = xfs.folder(), pools = [], ...options }: HostOptions = {}) {
  const qubesd = await Qubesd.start({
    pools: [{ name: 'vm-pool', driver: 'file-reflink', path }],
    ...options.qubesd,
    test: t,
  });
  const lab = new BackupSystem(t, { pools });
  const select = (text: string, more = 'initial = "full"'): void => {
    lab.configure(`${more}\n[qubes]\nsocket = "${qubesd.socket}"\n${text}`);
  };
  select(lines);
  await lab.init('--chunk-size', '64K');
  const settings = async (qube: string, session?: string): Promise<Settings> =>
    decodeSettings(await lab.restore(`${qube}:settings`, session), qube);
  return { lab, qubesd, path, select, settings } satisfies Host;
}

const names = ({ volumes }: { readonly volumes: readonly { readonly name: string }[] }) =>
  volumes.map(({ name }) => name);

async function skippedIn(lab: BackupSystem, ...args: string[]) {
  const sent = (await lab.run(['--json', 'send', ...args])).expect(3).json(sendDocument);
  return sent.volumes.filter(({ kind }) => kind === 'skipped' || kind === 'failed');
}

describe('whole qubes', { skip: xfs.skip }, () => {
  test('are their saved volumes and their settings, in one session', async (t) => {
    const { lab, qubesd, path, settings } = await host(t, 'include = ["work", "win", "fedora-42", "disp1"]');
    await qubesd.ok('admin.vm.feature.Set', 'work', 'service.cups', '');
    await qubesd.ok('admin.vm.tag.Set', 'work', 'mine');
    await qubesd.ok('admin.vm.notes.Set', 'work', '', 'line\nline 2 \u{1f512}');
    await qubesd.ok('admin.vm.firewall.Set', 'work', '', 'action=accept dst4=1.2.3.4/32 comment=a b\naction=drop\n');
    await qubesd.ok('admin.vm.property.Set', 'work', 'netvm', '');
    const sent = await lab.ask(sendDocument, ['send']);
    assert.deepEqual(names(sent), [
      'disp1:settings',
      'fedora-42:private',
      'fedora-42:root',
      'fedora-42:settings',
      'win:private',
      'win:root',
      'win:settings',
      'work:private',
      'work:settings',
    ]);
    const { volumes } = await lab.list();
    const sessions = new Set(volumes.flatMap((volume) => volume.sessions.map(({ session }) => session)));
    assert.deepEqual([...sessions], [sent.session]);
    assert.ok((await lab.restore('work:private')).equals(readFileSync(join(path, `${WORK}/private.img`))));
    assert.ok((await lab.restore('win:root')).equals(readFileSync(join(path, 'appvms/win/root.img'))));

    const work = await settings('work');
    assert.deepEqual(
      {
        ...{ name: work.name, class: work.class, state: work.state, template: work.template, label: work.label },
        ...{ features: work.features, notes: work.notes, firewall: work.firewall, netvm: work.properties.netvm },
      },
      {
        ...{ name: 'work', class: 'AppVM', state: 'Halted', template: 'fedora-42' },
        label: { name: 'blue', colour: '0x3465a4' },
        features: { 'service.cups': '' },
        notes: 'line\nline 2 \u{1f512}',
        firewall: ['action=accept dst4=1.2.3.4/32 comment=a b', 'action=drop'],
        netvm: { default: false, type: 'vm', value: null },
      },
    );
    assert.ok(work.tags.includes('mine'));
    assert.deepEqual(work.volumes.private, {
      pool: 'vm-pool',
      vid: `${WORK}/private`,
      size: 16 * 2 ** 20,
      revisionsToKeep: 1,
      saved: true,
    });
    assert.equal(work.volumes.root?.saved, false);
    lab.assertNothingStray();
  });

  test('make no session of unchanged settings, and one of changed settings alone', async (t) => {
    const { lab, qubesd, settings } = await host(t, 'include = ["work", "personal"]');
    const first = await lab.ask(sendDocument, ['send']);
    assert.equal((await lab.ask(sendDocument, ['send'])).session, null);
    await qubesd.ok('admin.vm.property.Set', 'work', 'label', 'purple');
    const sent = await lab.ask(sendDocument, ['send']);
    const changed = sent.volumes.filter(({ kind }) => kind !== 'unchanged');
    assert.deepEqual(names({ volumes: changed }), ['work:settings']);
    assert.equal((await settings('work')).label.name, 'purple');
    assert.equal((await settings('work', first.session!)).label.name, 'blue');
    lab.assertNothingStray();
    assert.deepEqual(readdirSync(join(lab.stateDir, 'documents')), []);
  });

  test('are captured as they run, and the head and the settings say so', async (t) => {
    const { lab, qubesd, path, settings } = await host(t, 'include = ["work", "win"]');
    await lab.ask(sendDocument, ['send']);
    await qubesd.ok('admin.vm.Start', 'work');
    const dirty = join(path, `${WORK}/private-dirty.img`);
    execFileSync('dd', [
      'if=/dev/urandom',
      `of=${dirty}`,
      'bs=4096',
      'count=1',
      'seek=100',
      'conv=notrunc',
      'status=none',
    ]);
    const sent = await lab.ask(sendDocument, ['send']);
    assert.deepEqual(
      sent.volumes.filter(({ kind }) => kind === 'incremental').map(({ name, compared }) => [name, compared]),
      [
        ['work:private', false],
        ['work:settings', true],
      ],
    );
    assert.ok((await lab.restore('work:private')).equals(readFileSync(dirty)));
    const [work] = (await lab.ask(listDocument, ['list', 'work'])).volumes;
    assert.deepEqual(
      work?.sessions.map(({ state }) => state),
      ['stopped', 'running'],
    );
    assert.equal((await settings('work')).state, 'Running');
    await qubesd.ok('admin.vm.Shutdown', 'work');
    const stopped = await lab.ask(sendDocument, ['send']);
    assert.equal(only(stopped.volumes, 'work:private').kind, 'unchanged');
    assert.equal((await settings('work')).state, 'Halted');
  });

  test('are chosen by pattern, by include_in_backups, and never a disposable that goes away', async (t) => {
    const { lab, qubesd, select } = await host(t, 'include = ["@include_in_backups"]\nexclude = ["sys-*", "*-*"]');
    await qubesd.ok('admin.vm.property.Set', 'personal', 'include_in_backups', 'False');
    await qubesd.addQube('disp7', { klass: 'DispVM', template: 'default-dvm', properties: { auto_cleanup: 'True' } });
    assert.deepEqual(names(await lab.ask(sendDocument, ['send'])), [
      ...['win:private', 'win:root', 'win:settings', 'work:private', 'work:settings'],
    ]);
    select('include = ["disp*", "p*"]');
    const { volumes } = await lab.ask(sendDocument, ['send']);
    assert.deepEqual(names({ volumes }), ['disp1:settings', 'personal:private', 'personal:settings']);
    select('include = ["disp7", "none-such", "w?rk"]');
    const [left, ...more] = await skippedIn(lab);
    assert.deepEqual([left?.name, left?.error?.code, more], ['none-such', 'no-match', []]);
    for (const wrong of ['work:private', '@tag:x', 'a/b', '']) {
      select(`include = [${JSON.stringify(wrong)}]`);
      assert.match((await lab.run(['send'])).expect(2).describe(), /qubes\.include\.0/);
    }
  });

  test('take a qube for all that is saved of it, in each command', async (t) => {
    const { lab } = await host(t, 'include = ["work", "personal"]');
    assert.deepEqual(names(await lab.ask(sendDocument, ['send', 'work'])), ['work:private', 'work:settings']);
    await lab.ask(sendDocument, ['send']);
    assert.deepEqual(names(await lab.list('personal')), ['personal:private', 'personal:settings']);
    assert.deepEqual(names(await lab.monitor('work')), ['work:private', 'work:settings']);
    (await lab.run(['verify', 'work'])).expect(0);
    assert.match((await lab.run(['restore', 'work', '--to', 'x'])).expect(1).describe(), /qube restore/);
    assert.match((await lab.run(['restore', 'work:settings', '--replace'])).expect(2).describe(), /qube restore/);
  });

  test('are followed when they are renamed, removed or replaced by another of their name', async (t) => {
    const { lab, qubesd } = await host(t, 'include = ["*"]\nexclude = ["sys-*", "fedora*", "debian*"]');
    await lab.ask(sendDocument, ['send']);
    await qubesd.control({ do: 'rename', from: 'personal', to: 'home', volumes: true });
    await qubesd.ok('admin.vm.Remove', 'win');
    await qubesd.ok('admin.vm.Remove', 'work');
    await qubesd.addQube('work', { template: 'fedora-42', label: 'blue', data: { private: 3 * 2 ** 20 } });
    const sending = (await lab.run(['--json', 'send'])).expect(3);
    // It does not wait for itself, as it did when it renamed and sent with two openings of dom0's state.
    assert.doesNotMatch(sending.stderr, /waiting for another sparsebak/);
    const told = sending.json(sendDocument).volumes.filter(({ kind }) => kind === 'skipped' || kind === 'failed');
    assert.deepEqual(
      told.map(({ name, error }) => [name, error?.code]),
      [
        ['win', 'not-found'],
        ['work', 'replaced'],
      ],
    );
    const { volumes } = await lab.list('home');
    assert.deepEqual(names({ volumes }), ['home:private', 'home:settings']);
    assert.equal(volumes[0]?.sessions.length, 1, 'its history goes on, and nothing changed');
    (await lab.run(['list', 'personal'])).expect(1);
    // Said once; its snapshots are gone, its sessions are not.
    assert.equal((await lab.ask(sendDocument, ['send'])).session, null);
    assert.ok(lab.pairings().every(({ volume }) => !volume.startsWith('win:')));
    assert.equal((await lab.list('win')).volumes.length, 3);
    lab.assertNothingStray();
  });

  test('go on with their history when they were removed and restored', async (t) => {
    const { lab, qubesd } = await host(t, 'include = ["work"]');
    await lab.ask(sendDocument, ['send']);
    await qubesd.ok('admin.vm.Remove', 'work');
    (await lab.run(['qube', 'restore', 'work'])).expect(0);
    const { here } = (JSON.parse((await lab.run(['--json', 'qube', 'list'])).stdout) as ListedQubes).qubes[0]!;
    assert.deepEqual(here, { is: 'here' });
    // Nothing is said of another qube of its name, and its volume continues.
    const sent = await lab.ask(sendDocument, ['send']);
    assert.deepEqual(
      sent.volumes.map(({ name, kind }) => [name, kind]),
      [
        ['work:private', 'unchanged'],
        ['work:settings', 'incremental'],
      ],
    );
  });

  test('are left alone, and said, while a restore of them is not finished', async (t) => {
    const { lab, qubesd } = await host(t, 'include = ["work"]');
    await lab.ask(sendDocument, ['send']);
    await qubesd.ok('admin.vm.tag.Set', 'work', 'backup-restore-in-progress');
    assert.deepEqual(
      (await skippedIn(lab)).map(({ name, error }) => [name, error?.code]),
      [
        ['work:private', 'left-out'],
        ['work:settings', 'left-out'],
      ],
    );
    await qubesd.ok('admin.vm.tag.Remove', 'work', 'backup-restore-in-progress');
    const { volumes } = await lab.ask(sendDocument, ['send']);
    assert.deepEqual(
      volumes.map(({ kind }) => kind),
      ['unchanged', 'unchanged'],
    );
  });

  test('keep the history of a volume that was saved by itself', async (t) => {
    const path = xfs.folder();
    const pools = [{ name: 'main', type: 'reflink', path, volumes: [`${WORK}/private.img`] }] as const;
    const { lab, qubesd, select } = await host(t, 'include = ["personal"]', { path, pools });
    const first = await lab.ask(sendDocument, ['send']);
    assert.ok(names(first).includes(`${WORK}/private.img`));
    select('include = ["work"]');
    const [twice] = await skippedIn(lab);
    assert.deepEqual([twice?.name, twice?.error?.code], [`${WORK}/private.img`, 'left-out']);
    // It was new as a qube's, so it has a history of its own by now.
    assert.match((await lab.run(['qube', 'adopt', 'work'])).expect(3).describe(), /history of its own/);
    (await lab.run(['delete', 'work:private', '--yes'])).expect(0);
    assert.match((await lab.run(['qube', 'adopt', 'work'])).expect(0).describe(), /appvms\/work\/private\.img/);
    lab.configure(`[qubes]\nsocket = "${qubesd.socket}"\ninclude = ["work"]`, undefined, []);
    const image = join(path, `${WORK}/private.img`);
    execFileSync('dd', ['if=/dev/urandom', `of=${image}`, 'bs=4096', 'count=1', 'conv=notrunc', 'status=none']);
    const sent = await lab.ask(sendDocument, ['send']);
    const { kind, compared } = only(sent.volumes, 'work:private');
    assert.deepEqual([kind, compared], ['incremental', false], 'the record of changes moved along');
    assert.equal((await lab.list('work:private')).volumes[0]?.sessions.length, 2);
  });

  test('leave a pool that another driver has, and say so', async (t) => {
    const path = xfs.folder();
    const other = join(path, 'other');
    mkdirSync(other);
    const { lab, qubesd } = await host(t, 'include = ["work", "odd"]', {
      path,
      qubesd: {
        pools: [
          { name: 'vm-pool', driver: 'file-reflink', path },
          { name: 'old', driver: 'file', path: other },
        ],
      },
    });
    await qubesd.addQube('odd', { template: 'fedora-42', pool: 'old' });
    const [left, ...more] = await skippedIn(lab);
    assert.equal(left?.name, 'odd:private');
    assert.match(left.error?.message ?? '', /driver "file"/);
    assert.deepEqual(more, []);
    assert.ok(names(await lab.list()).includes('odd:settings'));
  });

  test('fail alone when qubesd does not answer, and heal', async (t) => {
    const files = xfs.folder();
    writeFileSync(join(files, 'a.img'), new Random('qubesd gone').bytes(100_000));
    const pools = [{ name: 'plain', type: 'file', path: files }] as const;
    const { lab, qubesd } = await host(t, 'include = ["work", "personal"]', { pools });
    await lab.ask(sendDocument, ['send']);
    await qubesd.kill();
    rmSync(qubesd.socket, { force: true });
    const listens = createServer().listen(qubesd.socket);
    listens.close();
    const failed = await skippedIn(lab);
    assert.deepEqual(
      failed.map(({ name, kind, error }) => [name, kind, error?.code]),
      ['personal:private', 'personal:settings', 'work:private', 'work:settings'].map((name) => [
        ...[name, 'failed', 'config'],
      ]),
    );
    await qubesd.restart();
    // It goes in the middle: what was captured before is sent, and the next send heals.
    for (const [method, nth] of [
      ['admin.vm.property.GetAll', 2],
      ['admin.vm.volume.Info', 3],
      ['admin.vm.feature.List', 1],
      ['admin.vm.notes.Get', 1],
    ] as const) {
      await qubesd.fault({ method, nth, effect: { kind: 'exit' } });
      const sent = (await lab.run(['--json', 'send'])).expect(3).json(sendDocument);
      assert.equal(only(sent.volumes, 'a.img').kind, 'unchanged', method);
      await qubesd.restart();
      assert.equal((await lab.ask(sendDocument, ['send'])).session, null);
    }
    lab.assertNothingStray();
  });

  test('name what an older release of Qubes does not have', async (t) => {
    const { lab, settings } = await host(t, 'include = ["work"]', { qubesd: { release: '4.2' } });
    await lab.ask(sendDocument, ['send']);
    const { unavailable, notes } = await settings('work');
    assert.ok(unavailable.includes('notes'), unavailable.join());
    assert.equal(notes, '');
    // It lists no uuids either.
    const { stdout } = (await lab.run(['--json', 'qube', 'list'])).expect(0);
    assert.deepEqual((JSON.parse(stdout) as { qubes: { here: unknown }[] }).qubes[0]?.here, { is: 'here' });
  });

  test('name a part that qubesd did not show of one qube', async (t) => {
    const { lab, qubesd, settings } = await host(t, 'include = ["work"]');
    const failure = { kind: 'exception', name: 'QubesException', message: 'broken firewall.xml' } as const;
    await qubesd.fault({ method: 'admin.vm.firewall.Get', effect: failure });
    const [left, ...more] = await skippedIn(lab);
    assert.deepEqual([left?.name, left?.error?.code, more], ['work:settings (firewall)', 'left-out', []]);
    assert.match(left?.error?.message ?? '', /broken firewall\.xml/);
    assert.deepEqual((await settings('work')).unavailable, ['firewall']);
  });

  test('cost a monitor run no question about settings', async (t) => {
    const { lab, qubesd } = await host(t, 'include = ["*"]');
    await lab.ask(sendDocument, ['send']);
    qubesd.forgetCalls();
    await lab.monitor();
    const asked = new Set(qubesd.calls.map(({ method }) => method));
    assert.ok(asked.has('admin.vm.volume.Info'));
    for (const method of ['admin.vm.property.GetAll', 'admin.vm.feature.List', 'admin.vm.firewall.Get']) {
      assert.ok(!asked.has(method), method);
    }
  });

  test('leave two pools in one folder each its own snapshots', async (t) => {
    const path = xfs.folder();
    const pools = [{ name: 'main', type: 'reflink', path, volumes: ['vm-templates/*/root.img'] }] as const;
    const { lab } = await host(t, 'include = ["work"]', { path, pools });
    await lab.ask(sendDocument, ['send']);
    const sent = await lab.ask(sendDocument, ['send']);
    assert.ok(sent.volumes.every(({ kind }) => kind === 'unchanged'));
    assert.deepEqual(
      sent.volumes.filter(({ compared }) => compared).map(({ name }) => name),
      ['work:settings'],
    );
    assert.equal(lab.snapshots().length, 3);
  });
});

describe("dom0's home directory", { skip: btrfs.skip }, () => {
  test('is saved as a stream that changes only when it does, and comes back', async (t) => {
    const { lab, select, path } = await host(t, 'include = ["work"]', { path: btrfs.folder() });
    const home = join(path, 'home');
    mkdirSync(join(home, 'own/archive'), { recursive: true });
    mkdirSync(join(home, 'dir'), { recursive: true });
    writeFileSync(join(home, 'dir/a file'), 'content', { mode: 0o640 });
    writeFileSync(join(home, 'dir/sparse'), '');
    truncateSync(join(home, 'dir/sparse'), 100 * 2 ** 20);
    symlinkSync('a file', join(home, 'dir/link'));
    execFileSync('ln', [join(home, 'dir/a file'), join(home, 'dir/hard')]);
    const socket = createServer().listen(join(home, 'dir/socket'));
    t.after(() => socket.close());
    select(`include = ["work"]\ndom0_home = ${JSON.stringify(home)}`);
    const sent = await lab.ask(sendDocument, ['send']);
    const { kind, volumeBytes } = only(sent.volumes, 'dom0:home');
    assert.equal(kind, 'full');
    assert.ok(volumeBytes < 2 ** 20, 'holes take no room');
    assert.equal((await lab.ask(sendDocument, ['send'])).session, null);
    const tar = await lab.restore('dom0:home');
    const back = join(lab.folder, 'back');
    mkdirSync(back);
    execFileSync('tar', ['--extract', '--directory', back], { input: tar });
    // Sizes and links of folders depend on the file system.
    const form = ['-type', 'd', '-printf', '%p %M %T@\\n', '-o', '-printf', '%p %M %s %T@ %l %n\\n'];
    const was = (root: string) =>
      execFileSync('find', ['.', '-not', '-type', 's', '(', ...form, ')'], { cwd: root, encoding: 'utf8' })
        .split('\n')
        .sort();
    assert.deepEqual(was(join(back, home)), was(home));
    writeFileSync(join(home, 'dir/new'), 'x');
    assert.equal(only((await lab.ask(sendDocument, ['send'])).volumes, 'dom0:home').kind, 'incremental');
    select(`include = ["work"]\ndom0_home = "/no/such/folder"`);
    const [failed] = await skippedIn(lab);
    assert.deepEqual([failed?.name, failed?.kind, failed?.error?.code], ['dom0:home', 'failed', 'source']);
    lab.assertNothingStray();
  });

  test('leaves out what is sparsebak’s own', async (t) => {
    const { lab, select, path } = await host(t, 'include = ["work"]', { path: btrfs.folder() });
    const home = join(path, 'home');
    mkdirSync(home);
    writeFileSync(join(home, 'kept'), 'x');
    lab.useRoot(join(home, 'archives'));
    mkdirSync(lab.root);
    execFileSync('cp', ['-a', join(lab.folder, 'archives', 'laptop'), join(lab.root, 'laptop')]);
    select(`include = ["work"]\ndom0_home = ${JSON.stringify(home)}`);
    await lab.ask(sendDocument, ['send']);
    const inside = execFileSync('tar', ['--list'], { input: await lab.restore('dom0:home'), encoding: 'utf8' });
    assert.ok(inside.includes('/kept\n') && !inside.includes('laptop'), inside);
  });
});
