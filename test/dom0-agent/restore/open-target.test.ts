import assert from 'node:assert/strict';
import {
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { openTarget, type TargetRequest } from '../../../dom0-agent/restore/open-target.ts';
import type { Target } from '../../../dom0-agent/source/target.ts';
import { loopFsSkip, mountLoopFs, withLoopFs } from '../../fixtures/loop-fs.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

function open(path: string, size: number, force: boolean, more: Partial<TargetRequest> = {}): Promise<Target> {
  return openTarget({ path, size, force, own: [], ...more });
}

describe('a file to restore to', () => {
  it('has its name only when it is finished, and its size from the start', async (t) => {
    const folder = scratchFor(t);
    const path = join(folder, 'a.img');
    const target = await open(path, 12_345, false);
    assert.equal(existsSync(path), false);
    assert.equal(statSync(target.path).size, 12_345);
    writeFileSync(target.path, 'proven');
    await target.finish();
    assert.equal(readFileSync(path, 'utf8'), 'proven');
    assert.deepEqual(readdirSync(folder), ['a.img']);
  });

  it('leaves nothing when it is given up', async (t) => {
    const folder = scratchFor(t);
    await (await open(join(folder, 'a.img'), 5, false)).abandon();
    assert.deepEqual(readdirSync(folder), []);
  });

  it('G6 that is there already is taken only by force, and then stays until the new one is whole', async (t) => {
    const path = join(scratchFor(t), 'a.img');
    writeFileSync(path, 'old');
    await assert.rejects(open(path, 5, false), { code: 'target', exitStatus: 1, message: /exists already/ });
    await (await open(path, 5, true)).abandon();
    assert.equal(readFileSync(path, 'utf8'), 'old');
    await (await open(path, 5, true)).finish();
    assert.deepEqual(readFileSync(path), Buffer.alloc(5));
  });

  it('G6 that somebody makes while it is restored is not replaced', async (t) => {
    const folder = scratchFor(t);
    const path = join(folder, 'a.img');
    const target = await open(path, 5, false);
    writeFileSync(path, 'theirs');
    await assert.rejects(target.finish(), { code: 'target' });
    assert.equal(readFileSync(path, 'utf8'), 'theirs');
    assert.deepEqual(readdirSync(folder), ['a.img']);
  });

  it('G6 is never written through a link that waits under its name', async (t) => {
    const folder = scratchFor(t);
    const precious = join(folder, 'precious');
    writeFileSync(precious, 'precious');
    const path = join(folder, 'a.img');
    const mine = `${path}.sparsebak-partial-${process.pid}`;
    for (const plant of [() => symlinkSync(precious, mine), () => linkSync(precious, mine)]) {
      plant();
      const target = await open(path, 5, true);
      writeFileSync(target.path, 'other');
      await target.abandon();
      assert.equal(readFileSync(precious, 'utf8'), 'precious');
    }
  });

  it('takes away what a killed restore left, and not what another is writing', async (t) => {
    const folder = scratchFor(t);
    const path = join(folder, 'a.img');
    const gone = spawnSync('true').pid;
    for (const owner of [gone, process.ppid]) writeFileSync(`${path}.sparsebak-partial-${owner}`, 'half');
    writeFileSync(`${path}.sparsebak-partial-notes`, 'theirs');
    await (await open(path, 5, false)).finish();
    const expected = ['a.img', `a.img.sparsebak-partial-${process.ppid}`, 'a.img.sparsebak-partial-notes'];
    assert.deepEqual(readdirSync(folder).sort(), expected.sort());
  });

  it('G6 is neither a folder nor what cannot be made', async (t) => {
    const folder = scratchFor(t);
    mkdirSync(join(folder, 'sub'));
    await assert.rejects(open(join(folder, 'sub'), 5, true), { code: 'target' });
    await assert.rejects(open(join(folder, 'none/a.img'), 5, false), { code: 'target' });
    await assert.rejects(open('/dev/null', 5, true), { code: 'target' });
  });
});

describe('a file to restore to in a folder that somebody changes meanwhile', () => {
  it('G6 is written where it was made, whatever has its name by then, and is never called restored', async (t) => {
    const folder = scratchFor(t);
    const precious = join(folder, 'precious');
    mkdirSync(join(folder, 'theirs'));
    const path = join(folder, 'theirs/a.img');
    const swaps = {
      link: (partial: string) => symlinkSync(precious, partial),
      'hard link': (partial: string) => linkSync(precious, partial),
      file: (partial: string) => writeFileSync(partial, 'theirs'),
      nothing: () => undefined,
    };
    for (const force of [false, true]) {
      for (const [what, swap] of Object.entries(swaps)) {
        writeFileSync(precious, 'precious');
        const target = await open(path, 6, force);
        const partial = join(folder, 'theirs', readdirSync(join(folder, 'theirs'))[0]!);
        renameSync(partial, join(folder, 'taken'));
        swap(partial);
        writeFileSync(target.path, 'proven');
        assert.equal(readFileSync(join(folder, 'taken'), 'utf8'), 'proven', what);
        await assert.rejects(target.finish(), { code: 'target', message: /not the file that was restored/ }, what);
        assert.equal(readFileSync(precious, 'utf8'), 'precious', what);
        assert.equal(statSync(join(folder, 'taken')).size, 0, what);
        assert.equal(existsSync(path), false, what);
        rmSync(join(folder, 'theirs'), { recursive: true });
        mkdirSync(join(folder, 'theirs'));
      }
    }
  });

  it('G6 stays in the folder that was named, when another or a link gets its name', async (t) => {
    const folder = scratchFor(t);
    for (const sub of ['theirs/sub', 'root-only']) mkdirSync(join(folder, sub), { recursive: true });
    const target = await open(join(folder, 'theirs/sub/a.img'), 6, false);
    renameSync(join(folder, 'theirs/sub'), join(folder, 'theirs/moved'));
    symlinkSync(join(folder, 'root-only'), join(folder, 'theirs/sub'));
    writeFileSync(target.path, 'proven');
    await assert.rejects(target.finish(), { code: 'target', message: /leads to another folder/ });
    assert.deepEqual(readdirSync(join(folder, 'root-only')), []);
  });

  it('is given up without touching what got its name', async (t) => {
    const folder = scratchFor(t);
    const target = await open(join(folder, 'a.img'), 6, false);
    const [partial = ''] = readdirSync(folder);
    renameSync(join(folder, partial), join(folder, 'taken'));
    writeFileSync(join(folder, partial), 'theirs');
    await target.abandon();
    assert.equal(readFileSync(join(folder, partial), 'utf8'), 'theirs');
  });
});

describe('a place that nothing is restored to', () => {
  it('is standard output, or a folder', async (t) => {
    const folder = scratchFor(t);
    await assert.rejects(open('-', 5, false), { code: 'usage', message: /standard output/, hint: /--to PATH/ });
    for (const path of [folder, `${folder}/`, join(folder, 'none/..'), `${folder}/.`, '/']) {
      await assert.rejects(open(path, 5, true), { code: 'target', message: /is a folder|not a folder/ }, path);
    }
  });

  it("is sparsebak's own, by whichever path", async (t) => {
    const folder = scratchFor(t);
    mkdirSync(join(folder, 'archive/volumes'), { recursive: true });
    mkdirSync(join(folder, 'elsewhere'));
    symlinkSync(join(folder, 'archive'), join(folder, 'alias'));
    const own = [
      { path: join(folder, 'none'), what: 'what is not there' },
      { path: join(folder, 'archive'), what: 'the archive "a"' },
    ];
    for (const path of ['archive/a.img', 'archive/volumes/a.img', 'alias/volumes/a.img', 'elsewhere/../alias/a.img']) {
      const refusal = { code: 'usage', message: /is in the archive "a"/ } as const;
      await assert.rejects(open(join(folder, path), 5, true, { own }), refusal, path);
    }
    await (await open(join(folder, 'elsewhere/a.img'), 5, false, { own })).finish();
    assert.deepEqual(readdirSync(join(folder, 'archive')), ['volumes']);
  });

  it('is one that exists, as a link to nothing too, unless it is forced', async (t) => {
    const folder = scratchFor(t);
    symlinkSync('nothing', join(folder, 'dangling'));
    symlinkSync('file', join(folder, 'link'));
    writeFileSync(join(folder, 'file'), 'other');
    for (const name of ['dangling', 'link']) {
      const path = join(folder, name);
      await assert.rejects(open(path, 5, false), { code: 'target', message: /exists already, as a symbolic link/ });
      await (await open(path, 5, true)).finish();
      assert.ok(lstatSync(path).isFile(), 'the link was replaced, and nothing was written through it');
    }
    assert.deepEqual(readdirSync(folder).sort(), ['dangling', 'file', 'link']);
    assert.equal(readFileSync(join(folder, 'file'), 'utf8'), 'other');
  });

  it('G6 is a file that somebody uses, forced or not, at the beginning or by the end', async (t) => {
    const folder = scratchFor(t);
    const path = join(folder, 'private.img');
    writeFileSync(path, 'old');
    const refused = async (message: RegExp): Promise<void> => {
      await assert.rejects(open(path, 5, true), { code: 'target', message });
      assert.equal(readFileSync(path, 'utf8'), 'old');
    };
    const user = await reader(t, path);
    await refused(new RegExp(`process ${String(user.pid)} \\(sh\\) has it open`));
    user.stdin?.end();
    await once(user, 'exit');
    for (const [beside, message] of [
      ['private-dirty.img', /its qube is running/],
      ['private-import.img', /Qubes is importing it/],
    ] as const) {
      writeFileSync(join(folder, beside), '');
      await refused(message);
      rmSync(join(folder, beside));
    }
    const target = await open(path, 5, true);
    await reader(t, path);
    await assert.rejects(target.finish(), { code: 'target', message: /has it open/ });
    assert.deepEqual(readdirSync(folder), ['private.img']);
  });

  it('has no room for the data, which is said before they are fetched', { skip: loopFsSkip('ext4') }, async () => {
    await withLoopFs({ type: 'ext4', size: 8 * 2 ** 20 }, async (folder) => {
      const path = join(folder, 'a.img');
      const size = 2 ** 30;
      const bytesIn = (): Promise<number> => Promise.resolve(2 ** 24);
      await assert.rejects(open(path, size, false, { bytesIn }), { code: 'target', message: /does not fit/ });
      assert.equal(existsSync(path), false);
      await (await open(path, size, false, { bytesIn: () => Promise.resolve(4096) })).finish();
    });
  });
});

/** A process that holds a file open until its input ends. */
async function reader(t: TestContext, path: string): Promise<ChildProcess> {
  const child = spawn('sh', ['-c', `exec 3<'${path}'; echo open; read line`], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

describe('a device to restore to', { skip: loopFsSkip('ext4') }, () => {
  it('G6 must be large enough, forced, and unused', async (t) => {
    const folder = scratchFor(t);
    const device = loopDevice(t, join(folder, 'image'), 1_048_576, 0x55);
    await assert.rejects(open(device, 1000, false), { code: 'target', message: /exists already/ });
    await assert.rejects(open(device, 1_048_577, true), { code: 'target', message: /has 1048576 bytes/ });
    const target = await open(device, 1_048_576, true);
    target.zeros?.(512, 1024);
    await target.finish();
    const image = readFileSync(join(folder, 'image'));
    assert.deepEqual([image[511], image[512], image[1535], image[1536]], [0x55, 0, 0, 0x55]);

    const fs = await mountLoopFs({ type: 'ext4', size: 8 * 2 ** 20 });
    try {
      await assert.rejects(open(fs.device, 1000, true), { code: 'target', message: /in use/ });
    } finally {
      await fs.unmount();
    }
  });

  it('I1 cannot be taken for a whole one when it was given up', async (t) => {
    const folder = scratchFor(t);
    const device = loopDevice(t, join(folder, 'image'), 2_097_152, 0x55);
    await (await open(device, 2_000_000, true)).abandon();
    assert.deepEqual(readFileSync(join(folder, 'image')).subarray(0, 65_536), Buffer.alloc(65_536));
  });

  it('G6 that another process has open for writing, or a link of others leads to, is refused', async (t) => {
    const folder = scratchFor(t);
    const device = loopDevice(t, join(folder, 'image'), 1_048_576, 0x55);
    const writer = spawn('sh', ['-c', `exec 3<>${device}; echo open; read line`], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(writer.stdout, 'data');
    await assert.rejects(open(device, 1000, true), {
      code: 'target',
      message: /process \d+ \(sh\) has it open for writing/,
    });
    writer.stdin.end();
    await once(writer, 'exit');
    const link = join(folder, 'link');
    symlinkSync(device, link);
    await (await open(link, 1000, true)).finish();
    lchownSync(link, 65_534, 65_534);
    await assert.rejects(open(link, 1000, true), { code: 'target', message: /link belongs to user 65534/ });
    assert.equal(readFileSync(join(folder, 'image'))[0], 0x55);
  });
});

function loopDevice(t: TestContext, image: string, size: number, fill: number): string {
  writeFileSync(image, Buffer.alloc(size, fill));
  truncateSync(image, size);
  const { stdout } = spawnSync('losetup', ['--find', '--show', image], { encoding: 'utf8' });
  const device = stdout.trim();
  t.after(() => {
    spawnSync('losetup', ['--detach', device]);
  });
  return device;
}
