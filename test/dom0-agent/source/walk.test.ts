import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Held } from '../../../dom0-agent/source/held-file.ts';
import { openFolder, walk, type Walk } from '../../../dom0-agent/source/walk.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

const OTHER = 65_534;
const asRoot = process.getuid?.() === 0 ? false : 'machine: not root, so nothing can be given to another user';

/** What is found there, as text; or why nothing is. */
async function contentAt(how: Walk): Promise<string> {
  const walked = await walk(how);
  if (walked.kind === 'refused') return `refused: ${walked.reason}`;
  if (walked.kind === 'missing') return 'missing';
  const { held } = walked;
  try {
    return held.stats.isFile() ? readFileSync(held.path, 'utf8') : 'no file';
  } finally {
    held.close();
  }
}

function linkOf(owner: number, target: string, path: string): void {
  symlinkSync(target, path);
  lchownSync(path, owner, owner);
}

function placeFor(t: TestContext): string {
  const folder = scratchFor(t);
  chmodSync(folder, 0o755);
  mkdirSync(join(folder, 'a/b'), { recursive: true });
  writeFileSync(join(folder, 'a/b/root'), "root's", { mode: 0o600 });
  writeFileSync(join(folder, 'a/b/other'), "other's", { mode: 0o600 });
  if (asRoot === false) lchownSync(join(folder, 'a/b/other'), OTHER, OTHER);
  return folder;
}

describe('a path that is walked part by part', () => {
  it('leads where the kernel would go, through links in any part', async (t) => {
    const folder = placeFor(t);
    symlinkSync('a', join(folder, 'relative'));
    symlinkSync(join(folder, 'a/b'), join(folder, 'absolute'));
    symlinkSync('../b/./root', join(folder, 'a/b/back'));
    symlinkSync('circle', join(folder, 'circle'));
    symlinkSync('nothing', join(folder, 'dangling'));
    const found = async (path: string): Promise<string> =>
      await contentAt({ path: join(folder, path), links: 'trusted' });
    assert.equal(await found('a/b/root'), "root's");
    assert.equal(await found('relative/b/root'), "root's");
    assert.equal(await found('absolute/root'), "root's");
    assert.equal(await found('absolute/back'), "root's");
    assert.equal(await found('relative/../a//b/./root'), "root's");
    assert.equal(await found('a/b'), 'no file');
    for (const none of ['none', 'a/none/root', 'a/b/root/x', 'dangling', 'dangling/x']) {
      assert.equal(await found(none), 'missing', none);
    }
    assert.match(await found('circle'), /circle/);
    const held = Held.at(folder);
    t.after(() => held.close());
    assert.equal(await contentAt({ from: held, path: 'relative/b/root', links: 'trusted' }), "root's");
    for (const linked of ['relative/b/root', 'absolute/root', 'a/b/back', 'dangling']) {
      assert.match(
        await contentAt({ from: held, path: linked, links: 'none' }),
        /refused: .* is a symbolic link/,
        linked,
      );
    }
    assert.equal(await contentAt({ from: held, path: 'a/b/root', links: 'none' }), "root's");
  });

  it('follows a link only if root or the owner of what it leads to made it', { skip: asRoot }, async (t) => {
    const folder = placeFor(t);
    mkdirSync(join(folder, 'theirs'));
    linkOf(OTHER, '../a/b/root', join(folder, 'theirs/to-root'));
    linkOf(OTHER, '../a/b/other', join(folder, 'theirs/to-other'));
    linkOf(OTHER, '../a/b', join(folder, 'theirs/folder'));
    linkOf(0, 'to-root', join(folder, 'theirs/by-root'));
    linkOf(0, '../a/b/root', join(folder, 'theirs/root-to-root'));
    linkOf(1234, '../a/b/other', join(folder, 'theirs/third'));
    const found = async (path: string): Promise<string> =>
      await contentAt({ path: join(folder, 'theirs', path), links: 'trusted' });
    assert.match(await found('to-root'), /refused: the symbolic link .*theirs\/to-root belongs to user 65534.* user 0/);
    assert.equal(await found('to-other'), "other's");
    assert.match(await found('folder/root'), /refused/);
    assert.equal(await found('folder/other'), "other's");
    assert.match(await found('by-root'), /refused/, 'each link of a chain counts');
    assert.equal(await found('root-to-root'), "root's");
    assert.match(await found('third'), /refused/);
  });

  it(
    'does not read one link for another while their names are exchanged',
    { skip: asRoot, timeout: 60_000 },
    async (t) => {
      const folder = placeFor(t);
      linkOf(0, 'a/b/other', join(folder, 'link'));
      linkOf(OTHER, 'a/b/root', join(folder, 'evil'));
      const script = `const { renameSync } = require('node:fs'); process.chdir(${JSON.stringify(folder)});
      for (;;) for (const [from, to] of [['link', 'good'], ['evil', 'link'], ['link', 'evil'], ['good', 'link']]) renameSync(from, to);`;
      const racer = spawn(process.execPath, ['-e', script], { stdio: 'ignore' });
      t.after(() => racer.kill('SIGKILL'));
      const seen = new Set<string>();
      for (const end = Date.now() + 4000; Date.now() < end;) {
        seen.add((await contentAt({ path: join(folder, 'link'), links: 'trusted' })).replace(/:.*/, ''));
      }
      racer.kill('SIGKILL');
      await once(racer, 'exit');
      assert.ok(!seen.has("root's"), [...seen].join());
    },
  );
});

describe('a folder that is held', () => {
  it('stays the same when another takes its name', async (t) => {
    const folder = placeFor(t);
    const held = await openFolder(join(folder, 'a/b'), 'target');
    t.after(() => held.close());
    renameSync(join(folder, 'a/b'), join(folder, 'moved'));
    symlinkSync('/etc', join(folder, 'a/b'));
    writeFileSync(held.in('new'), 'x');
    assert.equal(readFileSync(join(folder, 'moved/new'), 'utf8'), 'x');
    assert.equal(held.look('none'), undefined);
    assert.equal(held.look('root')?.size, 6n);
    rmSync(join(folder, 'a/b'));
  });

  it('is a folder, and there, or says why not', async (t) => {
    const folder = placeFor(t);
    const refused = async (path: string, message: RegExp): Promise<void> => {
      await assert.rejects(openFolder(path, 'target'), { code: 'target', message, hint: /./ });
    };
    await refused(join(folder, 'none'), /there is no folder/);
    await refused(join(folder, 'a/b/root'), /is not a folder/);
    await refused(join(folder, 'a/b/root/x'), /there is no folder/);
    if (asRoot !== false) return;
    linkOf(OTHER, '/etc', join(folder, 'etc'));
    await refused(join(folder, 'etc'), /not accepted: the symbolic link/);
  });
});
