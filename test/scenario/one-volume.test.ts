// Damage to one volume of an archive is that volume's result: all commands do their work for the others (A1, A13, S2).

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { listDocument, pruneDocument, sendDocument, verifyDocument } from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';

const plain = ground('plain');
const CHUNK = 64 * 1024;
const WHOLE = ['whole-1.img', 'whole-2.img'];

interface Scene {
  readonly lab: BackupSystem;
  readonly random: Random;
  /** The folders of a volume's sessions, oldest first. */
  readonly sessions: (volume: string) => string[];
}

/** A plain archive of these volumes and of two more, each with three sessions. */
async function scene(t: TestContext, volumes: readonly string[]): Promise<Scene> {
  const random = new Random('one volume');
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
  const all = [...volumes, ...WHOLE];
  for (const volume of all) lab.write(volume, random.bytes(6 * CHUNK));
  await lab.init('--chunk-size', '64K', '--encryption', 'off');
  await lab.send('--full');
  for (let turn = 0; turn < 2; turn++) {
    for (const volume of all) writeAt(lab.path(volume), turn * CHUNK, random.bytes(100));
    await lab.send();
  }
  const root = join(lab.root, 'laptop/volumes');
  const ids = new Map(readdirSync(root).map((id) => [readFileSync(join(root, id, 'name'), 'utf8').trim(), id]));
  const sessions = (volume: string) =>
    [...lab.kept.get(volume)!.keys()].map((session) => join(root, ids.get(volume)!, session));
  return { lab, random, sessions };
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

/** Reading a folder fails as a bad sector does. */
function unreadable(path: string): void {
  rmSync(path);
  mkdirSync(path);
}

interface Harm {
  /** Of the volume's error. */
  readonly code: string;
  readonly harm: (newest: string) => void;
}

/** What nothing can be sent over, by the volume that it befalls. */
const HEADS: Readonly<Record<string, Harm>> = {
  'empty.img': { code: 'integrity', harm: (newest) => writeFileSync(join(newest, 'head'), '') },
  'flipped.img': { code: 'integrity', harm: (newest) => flip(join(newest, 'head')) },
  'gone.img': { code: 'rollback', harm: (newest) => renameSync(newest, `${newest}.away`) },
  'long.img': { code: 'integrity', harm: (newest) => writeFileSync(join(newest, 'head'), Buffer.alloc(2 ** 20)) },
  'missing.img': { code: 'integrity', harm: (newest) => rmSync(join(newest, 'head')) },
  'unreadable.img': { code: 'integrity', harm: (newest) => unreadable(join(newest, 'head')) },
};

test('A1 A13 S2 the newest head of some volumes: the others are sent, listed, verified, restored and pruned', async (t) => {
  const harmed = Object.keys(HEADS);
  const { lab, random, sessions } = await scene(t, harmed);
  const folders = new Map(harmed.map((volume) => [volume, sessions(volume)]));
  for (const volume of harmed) {
    HEADS[volume]!.harm(folders.get(volume)!.at(-1)!);
    lab.kept.delete(volume);
  }
  const expected = (each: (code: string) => unknown, whole: unknown) => [
    ...harmed.map((volume) => [volume, each(HEADS[volume]!.code)]),
    ...WHOLE.map((volume) => [volume, whole]),
  ];
  for (const volume of [...harmed, ...WHOLE]) writeAt(lab.path(volume), 3 * CHUNK, random.bytes(100));

  (await lab.run(['monitor'])).expect(0);
  (await lab.run(['status'])).expect(0);
  const sent = (await lab.run(['--json', 'send'])).expect(4).json(sendDocument);
  assert.deepEqual(
    sent.volumes.map(({ name, kind, error }) => [name, error?.code ?? kind]),
    expected((code) => code, 'incremental'),
  );
  for (const volume of harmed) {
    const { error } = only(sent.volumes, volume);
    assert.ok(error!.message.includes(volume), error!.message);
    assert.ok(error!.message.includes(folders.get(volume)!.at(-1)!.slice(-17)), error!.message);
    assert.ok(error!.hint !== undefined, 'it says what to do next');
  }
  lab.keep(sent);
  // Who looks at it says the same: each volume, and its next step.
  assert.match((await lab.run(['send'])).expect(4).stdout, /^ {2}→ flipped\.img: It is the volume's newest session/m);

  const listed = (await lab.run(['--json', 'list'])).expect(4).json(listDocument);
  assert.deepEqual(
    listed.volumes.map(({ name, error }) => [name, error?.code]),
    expected((code) => code, undefined),
  );
  assert.deepEqual(
    listed.volumes.map((volume) => volume.sessions.length),
    [...harmed.map(() => 2), ...WHOLE.map(() => 4)],
  );
  const verified = (await lab.run(['--json', 'verify'])).expect(4).json(verifyDocument);
  assert.deepEqual(
    verified.sessions.map(({ name, error }) => [name, error?.code]),
    expected((code) => code, undefined),
  );
  await lab.restore('flipped.img', folders.get('flipped.img')![0]!.slice(-17));
  for (const volume of ['flipped.img', 'gone.img']) {
    const refused = (await lab.run(['restore', volume, '--to', 'x'])).expect(4);
    assert.match(refused.stderr, new RegExp(`${volume}.*\\n {2}→ .*--session`));
  }

  const pruned = (await lab.run(['--json', 'prune', '--keep-last', '1', '--yes'])).expect(4).json(pruneDocument);
  assert.deepEqual(
    pruned.volumes.map(({ name, error }) => [name, error?.code]),
    expected((code) => code, undefined),
  );
  assert.deepEqual(
    pruned.volumes.map((volume) => volume.sessions.filter((session) => session.pruned).length),
    [...harmed.map(() => 0), ...WHOLE.map(() => 3)],
  );
  for (const volume of WHOLE) {
    const newest = [...lab.kept.get(volume)!.keys()].at(-1)!;
    lab.pruned(volume, [...lab.kept.get(volume)!.keys()].slice(0, -1));
    assert.ok((await lab.restore(volume, newest)).equals(readFileSync(lab.path(volume))), volume);
  }
});

test('A1 A13 S2 indexes, pages and chunks of some volumes: each is sent anew, and the others are read', async (t) => {
  const harms: Readonly<Record<string, (newest: string, oldest: string) => void>> = {
    'chunk.img': (_, oldest) => rmSync(join(oldest, '0000000000/0000000000050000')),
    'index.img': (newest) => flip(join(newest, 'index')),
    'page.img': (newest) => flip(join(newest, '0000000000/page')),
    'page-and-index.img': (newest) => {
      for (const file of ['index', '0000000000/page']) unreadable(join(newest, file));
    },
  };
  const harmed = Object.keys(harms).sort();
  const { lab, random, sessions } = await scene(t, harmed);
  for (const volume of harmed) {
    const folders = sessions(volume);
    harms[volume]!(folders.at(-1)!, folders[0]!);
  }
  const verified = (await lab.run(['--json', 'verify'])).expect(4).json(verifyDocument);
  assert.deepEqual(
    verified.sessions.map(({ name, error, badChunks }) => [name, error?.code ?? badChunks]),
    [
      ['chunk.img', 1],
      ...['index.img', 'page-and-index.img', 'page.img'].map((volume) => [volume, 'integrity']),
      ...WHOLE.map((volume) => [volume, 0]),
    ],
  );
  for (const { error, name, session } of verified.sessions.slice(1, 4)) {
    assert.ok(error!.message.includes(name) && error!.message.includes(session), error!.message);
    assert.ok(error!.hint !== undefined);
  }
  for (const volume of ['whole-1.img', 'index.img']) await lab.restore(volume);
  for (const volume of ['chunk.img', 'page.img']) {
    const { stderr } = (await lab.run(['restore', volume, '--to', 'x'])).expect(4);
    assert.match(stderr, new RegExp(`${volume}.*S_\\d{8}-\\d{6}|S_\\d{8}-\\d{6}.*${volume}`));
    assert.match(stderr, /\n {2}→ /);
  }
  const all = [...harmed, ...WHOLE].sort();
  for (const volume of all) writeAt(lab.path(volume), 3 * CHUNK, random.bytes(100));
  const sent = (await lab.run(['--json', 'send'])).expect(4).json(sendDocument);
  assert.deepEqual(
    sent.volumes.map(({ kind }) => kind),
    all.map(() => 'incremental'),
  );
  assert.deepEqual(
    sent.volumes.filter(({ error }) => error?.code === 'integrity').map(({ name }) => name),
    ['index.img', 'page-and-index.img', 'page.img'],
  );
  (await lab.run(['verify'])).expect(0);
  for (const volume of all) assert.ok((await lab.restore(volume)).equals(readFileSync(lab.path(volume))), volume);
});
