// docs/restore-by-hand.md says that a shell, coreutils and gzip are enough. Here its own commands restore every
// session.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Installation, runToEnd, type Ended } from '../fixtures/installation.ts';
import { Random } from '../fixtures/random.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { commandsOf } from './document.ts';
import { VOLUME, liveThrough, sha256Of, type Moment } from './history.ts';
import { findProgram, makePath } from './shells.ts';

interface Unpacking {
  readonly compression: string;
  readonly unpack: string;
  readonly programs: readonly string[];
}

const GZIP: Unpacking = { compression: 'gzip', unpack: 'gzip -dc', programs: [] };
const ZSTD: Unpacking = { compression: 'zstd', unpack: 'zstd -dc', programs: ['zstd'] };
const NONE: Unpacking = { compression: 'none', unpack: 'cat', programs: [] };

/** An archive with a volume's whole life in it, and what is needed to run the page's commands on it. */
class Scene {
  readonly folder = makeScratch('by-hand');
  readonly installation = new Installation(this.folder, 'laptop');
  moments: Moment[] = [];
  #runs = 0;

  async make({ compression }: Unpacking, sessions: number): Promise<void> {
    const random = new Random(`restore by hand ${compression}`);
    this.moments = await liveThrough(this.installation, random, compression, sessions);
    assert.equal(this.moments.length, sessions);
  }

  get volumeFolder(): string {
    const volumes = join(this.installation.root, 'laptop/volumes');
    return join(volumes, readdirSync(volumes)[0] ?? '');
  }

  async follow(shell: string, { unpack, programs }: Unpacking, session: string): Promise<Ended & { target: string }> {
    const own = join(this.folder, `run-${String((this.#runs += 1))}`);
    const path = makePath(join(own, 'bin'), shell, programs);
    const target = join(own, 'restored.img');
    const archive = join(this.installation.root, 'laptop');
    const script = join(own, 'commands');
    writeFileSync(script, `cd '${own}'\n${commandsOf({ archive, name: VOLUME, session, target, unpack })}`);
    const ended = await runToEnd(join(path, 'sh'), [script], { PATH: path, LC_ALL: 'C' });
    return { ...ended, target };
  }

  async assertRestored(shell: string, unpacking: Unpacking, moment: Moment): Promise<void> {
    const { status, stdout, stderr, target } = await this.follow(shell, unpacking, moment.session);
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    assert.doesNotMatch(stdout, /damaged/);
    assert.equal(statSync(target).size, moment.size, moment.what);
    assert.equal(await sha256Of(target), moment.sha256, moment.what);
  }

  remove(): void {
    removeScratch(this.folder);
  }
}

function skipWithout(program: string): string | false {
  return findProgram(program) === undefined ? `machine: no ${program}` : false;
}

describe('a plain gzip archive is restored by the commands of docs/restore-by-hand.md', () => {
  const scene = new Scene();
  before(() => scene.make(GZIP, 8));
  after(() => scene.remove());

  for (const shell of ['dash', 'bash']) {
    it(`every session, in ${shell}`, { skip: skipWithout(shell) }, async () => {
      for (const moment of scene.moments) await scene.assertRestored(shell, GZIP, moment);
    });
  }

  it('says which chunk is damaged, before and after', async () => {
    const [first] = scene.moments;
    const chunk = join(scene.volumeFolder, first?.session ?? '', '0000000000', '0000000000000000');
    const whole = readFileSync(chunk);
    writeFileSync(chunk, whole.subarray(0, -1));
    const { status, stdout } = await scene.follow('sh', GZIP, first?.session ?? '');
    writeFileSync(chunk, whole);
    assert.equal(status, 1);
    assert.match(stdout, /^0000000000000000: FAILED$/m);
    assert.match(stdout, /^damaged: .*\/0000000000$/m);
    assert.match(stdout, /could not be unpacked:\n.*\/0000000000000000$/m);
  });

  it('does not write over a file that is there', async () => {
    const [first] = scene.moments;
    const { status, stdout } = await scene.follow('sh', GZIP, first?.session ?? '');
    assert.equal(status, 0, stdout);
    const again = await runToEnd('/bin/sh', [
      join(scene.folder, 'run-1/restore.sh'),
      join(scene.installation.root, 'laptop'),
      scene.volumeFolder,
      first?.session ?? '',
      join(scene.folder, 'run-1/restored.img'),
    ]);
    assert.equal(again.status, 1);
    assert.match(again.stdout, /exists already/);
  });

  it('takes chunks of a session that is being pruned', async () => {
    const kept = [2, 3, 5, 6].map((at) => scene.moments[at]?.session ?? '');
    for (const session of kept) {
      renameSync(join(scene.volumeFolder, session), join(scene.volumeFolder, `${session}.pruning`));
    }
    const left = scene.moments.filter(({ session }) => !kept.includes(session));
    assert.equal(left.length, 4);
    for (const moment of left) await scene.assertRestored('sh', GZIP, moment);
  });
});

for (const unpacking of [ZSTD, NONE]) {
  const { compression, unpack } = unpacking;
  const skip = compression === 'zstd' ? skipWithout('zstd') : false;
  it(`a plain archive with ${compression} is restored in the same way with ${unpack}`, { skip }, async () => {
    const scene = new Scene();
    try {
      await scene.make(unpacking, 5);
      for (const moment of scene.moments) await scene.assertRestored('sh', unpacking, moment);
    } finally {
      scene.remove();
    }
  });
}
