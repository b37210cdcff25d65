// Two computers and one archive, with a backup VM that shows each of them what it likes: folders copied and put back
// between their commands. Whoever wrote takes another's catalogue only if it was made over its own last one.

import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { adoptDocument, errorDocument, unlockDocument } from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';

const plain = ground('plain');

class Pair {
  /** The computer that made the archive. */
  readonly a: BackupSystem;
  readonly b: BackupSystem;
  readonly #random = new Random('forks');
  #copies = 0;

  private constructor(t: TestContext) {
    this.a = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
    this.b = new BackupSystem(t, { pools: this.a.pools, root: this.a.root });
  }

  /** A has sent twice, and B can read. */
  static async make(t: TestContext): Promise<Pair> {
    const pair = new Pair(t);
    pair.a.write('a.img', pair.#random.bytes(200_000));
    await pair.a.init('--chunk-size', '64K');
    await pair.a.send('--full');
    await pair.send(pair.a);
    await pair.unlock(pair.b);
    return pair;
  }

  get passphrase(): string[] {
    return ['--passphrase-file', join(this.a.folder, 'passphrase')];
  }

  async unlock(lab: BackupSystem, ...options: string[]): Promise<void> {
    await lab.ask(unlockDocument, ['key', 'unlock', ...this.passphrase, ...options]);
  }

  async send(lab: BackupSystem): Promise<void> {
    writeAt(lab.path('a.img'), this.#random.int(190_000), this.#random.bytes(500));
    await lab.send();
  }

  async adopt(lab: BackupSystem, ...options: string[]): Promise<number> {
    return (await lab.ask(adoptDocument, ['adopt', '--yes', ...options])).sequence;
  }

  /** What the VM can show again later. */
  copy(): string {
    const to = join(this.a.folder, `copy-${this.#copies++}`);
    cpSync(this.a.root, to, { recursive: true, preserveTimestamps: true });
    return to;
  }

  show(copy: string): void {
    rmSync(this.a.root, { recursive: true });
    cpSync(copy, this.a.root, { recursive: true, preserveTimestamps: true });
  }

  pin(lab: BackupSystem): Buffer {
    return readFileSync(join(lab.stateDir, 'archives', lab.archive, 'current'));
  }

  /** Every command that reads or writes refuses, and what the computer knows stays. */
  async isFork(lab: BackupSystem): Promise<string> {
    const before = this.pin(lab);
    let message = '';
    const to = join(lab.folder, 'never');
    for (const args of [
      ['list'],
      ['restore', 'a.img', '--to', to],
      ['send', '--accept-rollback'],
      ['adopt', '--yes'],
    ]) {
      const ran = (await lab.run(['--json', ...args])).expect(4);
      const { error } = ran.json(errorDocument);
      assert.equal(error.code, 'fork', ran.describe());
      assert.match(error.message, /two computers wrote to this archive: .*catalogue \d+.* catalogue \d+/);
      assert.match(error.hint ?? '', /key unlock --again.*adopt --accept-rollback/s);
      message = error.message;
    }
    assert.ok(!existsSync(to));
    assert.ok(this.pin(lab).equals(before));
    return message;
  }

  async reads(lab: BackupSystem): Promise<void> {
    assert.ok((await lab.restore('a.img')).equals(readFileSync(lab.path('a.img'))));
    (await lab.run(['list'])).expect(0);
  }
}

test('G7 a takeover of the last: the old writer reads on, takes it back, and the new one reads then', async (t) => {
  const pair = await Pair.make(t);
  const { a, b } = pair;
  await pair.adopt(b);
  await pair.send(b);
  await pair.send(b);
  await pair.reads(a);
  assert.match((await a.run(['send'])).expect(5).stderr, /another dom0 writes/);
  await pair.send(b);
  await pair.reads(a);
  const sequence = await pair.adopt(a);
  await pair.send(a);
  await pair.reads(b);
  assert.match((await b.run(['send'])).expect(5).stderr, /another dom0 writes/);
  // A third one, over the heads of both: each finds its own last catalogue among the records.
  const c = new BackupSystem(t, { pools: a.pools, root: a.root });
  await pair.unlock(c);
  assert.ok((await pair.adopt(c)) > sequence);
  await pair.send(c);
  await pair.reads(a);
  await pair.reads(b);
});

test('A5 A6 G7 the writer went on while the VM showed the other an older one: a fork to both', async (t) => {
  const pair = await Pair.make(t);
  const { a, b } = pair;
  const before = pair.copy();
  await pair.send(a);
  const ofA = pair.copy();
  pair.show(before);
  await pair.adopt(b);
  await pair.send(b);
  const ofB = pair.copy();
  const said = await pair.isFork(a);
  assert.match(said, /written by this computer; .* it took over from this computer at catalogue \d+/);
  pair.show(ofA);
  assert.match(await pair.isFork(b), /does not say that it took over from this computer/);
  // A dom0 that has read one line does not take the other.
  const c = new BackupSystem(t, { pools: a.pools, root: a.root });
  await pair.unlock(c);
  pair.show(ofB);
  await pair.isFork(c);
  // Each of both ways out, and that they hold.
  await pair.unlock(a, '--again');
  await pair.reads(a);
  assert.match((await a.run(['send'])).expect(5).stderr, /another dom0 writes/);
  await pair.send(b);
  await pair.reads(a);
});

test('a fork is taken over by the one that is to go on', async (t) => {
  const pair = await Pair.make(t);
  const { a, b } = pair;
  const before = pair.copy();
  await pair.send(a);
  pair.show(before);
  await pair.adopt(b);
  await pair.send(b);
  await pair.isFork(a);
  await pair.adopt(a, '--accept-rollback');
  await pair.send(a);
  await pair.reads(a);
  await pair.reads(b);
});

test('A5 G7 taken back from before the other’s last: a fork to both', async (t) => {
  const pair = await Pair.make(t);
  const { a, b } = pair;
  await pair.adopt(b);
  await pair.send(b);
  const before = pair.copy();
  await pair.send(b);
  const ofB = pair.copy();
  pair.show(before);
  await pair.adopt(a);
  await pair.send(a);
  await pair.isFork(b);
  pair.show(ofB);
  await pair.isFork(a);
});

test('a put that was not answered: the takeover may be of either catalogue', async (t) => {
  for (const arrives of [true, false]) {
    const pair = await Pair.make(t);
    const { a, b } = pair;
    writeAt(a.path('a.img'), 1000, Buffer.from(`arrives ${arrives}`));
    const plan = arrives
      ? ({ from: 'receiver', what: 'done to put-catalogue', action: 'kill-agent' } as const)
      : ({ from: 'agent', what: 'put-catalogue', action: 'kill-agent' } as const);
    (await a.run(['send'], a.interposed(plan))).expectKilled();
    assert.ok(existsSync(join(a.stateDir, 'archives', a.archive, 'next')));
    await pair.adopt(b);
    await pair.send(b);
    await pair.reads(a);
    assert.match((await a.run(['send'])).expect(5).stderr, /another dom0 writes/);
  }
});

test('A2 A7 a damaged or missing catalogue is said by list and verify, stops nothing, and is put back by the writer alone', async (t) => {
  const pair = await Pair.make(t);
  const { a, b } = pair;
  const file = join(a.root, a.archive, 'catalogue');
  const sound = readFileSync(file);
  const damages: readonly (() => void)[] = [
    () => writeFileSync(file, ''),
    () => writeFileSync(file, sound.subarray(0, 40)),
    () => writeFileSync(file, Buffer.alloc(17 * 2 ** 20)),
    () => rmSync(file),
  ];
  for (const damage of damages) {
    damage();
    for (const lab of [a, b]) {
      const list = (await lab.run(['list'])).expect(4);
      assert.match(list.stdout, /a\.img/);
      assert.match(list.stderr, /catalogue is damaged or missing/);
      assert.match((await lab.run(['verify'])).expect(4).stdout, /verified[^]*catalogue is damaged or missing/);
      assert.ok((await lab.restore('a.img')).equals(readFileSync(lab.path('a.img'))));
    }
    // A reader may have an older one.
    assert.match((await b.run(['send', '--full'])).expect(4).stderr, /catalogue is damaged or missing/);
    const put = (await a.run(['send'])).expect(0);
    assert.match(put.stderr, /copy was put back/);
    assert.ok(readFileSync(file).equals(sound));
    (await a.run(['verify'])).expect(0);
  }
  damages[1]!();
  const c = new BackupSystem(t, { pools: a.pools, root: a.root });
  assert.match((await c.run(['key', 'unlock', ...pair.passphrase])).expect(4).stderr, /catalogue is damaged[^]*→/);
});
