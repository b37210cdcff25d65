// The tarball, unpacked somewhere and called from elsewhere; and everything with Node inside, made twice.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { buildPackages, buildSkip, type Built } from './built.ts';

/** Without any Node. */
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin';

describe('the tarball', { skip: buildSkip(), timeout: 600_000 }, () => {
  let scratch: string;
  let built: Built;
  before(async () => {
    scratch = makeScratch('packages');
    built = await buildPackages(join(scratch, 'packages'), ['--only=tarball']);
  });
  after(() => removeScratch(scratch));

  test('backs up and restores where it is unpacked, called through links from elsewhere', () => {
    // A blank in the path; and not the programs of this machine.
    const place = join(scratch, 'some where');
    const bin = join(scratch, 'bin');
    const state = join(scratch, 'state');
    const [volumes, archives] = [join(scratch, 'volumes'), join(scratch, 'archives')];
    for (const folder of [place, bin, volumes, archives]) mkdirSync(folder);
    assert.equal(spawnSync('tar', ['-xf', built.find('sparsebak', '.tar.xz'), '-C', place]).status, 0);
    const [top = '', ...others] = readdirSync(place);
    assert.deepEqual(others, []);
    // A link to a link, of which one is relative.
    symlinkSync(join(place, top, 'bin/sparsebak'), join(bin, 'first'));
    symlinkSync('first', join(bin, 'sparsebak'));
    symlinkSync(join(place, top, 'bin/sparsebak-receiver'), join(bin, 'sparsebak-receiver'));

    const content = Buffer.alloc(300_000, 'a volume ');
    writeFileSync(join(volumes, 'web.img'), content);
    writeFileSync(join(scratch, 'passphrase'), 'correct horse battery staple\n');
    const config = join(scratch, 'sparsebak.toml');
    const lines = [
      `destination = "local:${archives}"`,
      'archive = "host1"',
      `state_dir = "${state}"`,
      '[pool.machines]',
      'type = "file"',
      `path = "${volumes}"`,
      'volumes = ["*.img"]',
    ];
    writeFileSync(config, `${lines.join('\n')}\n`);
    const succeed = (program: string, ...args: string[]) => {
      const result = spawnSync(program, args, { cwd: '/', env: { PATH: `${bin}:${PATH}` }, encoding: 'utf8' });
      assert.equal(result.status, 0, result.stderr);
      return result.stdout;
    };
    succeed('sparsebak', '--config', config, 'init', '--passphrase-file', join(scratch, 'passphrase'));
    succeed('sparsebak', '--config', config, 'send', '--full');
    succeed('sparsebak', '--config', config, 'restore', 'web.img', '--to', join(scratch, 'restored.img'));
    assert.ok(readFileSync(join(scratch, 'restored.img')).equals(content));
    assert.match(succeed('sparsebak-receiver', '--root', archives, 'list'), /host1/);
    // By its path, as a unit or a shell calls it.
    assert.match(succeed(realpathSync(join(bin, 'sparsebak')), '--version'), /^\d/);
    assert.match(succeed('sh', join(bin, 'sparsebak'), '--version'), /^\d/);
  });
});
