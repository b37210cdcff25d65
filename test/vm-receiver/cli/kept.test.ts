import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chownSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemDisk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import type { ArchiveStore } from '../../../vm-receiver/store/store.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { onTerminal, terminalSkip } from '../../scenario/on-terminal.ts';
import { MAIN } from '../peer.ts';
import { catalogueOf, impatient, newArchive, saidBy, slotOf } from '../store/small-volumes.ts';

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function receiver(root: string, ...args: string[]): Result {
  return spawnSync(process.execPath, [MAIN, '--root', root, ...args], { encoding: 'utf8' });
}

async function inArchive(root: string, use: (archive: ArchiveStore) => Promise<void>, name = 'laptop'): Promise<void> {
  const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  const created = newArchive({ name: name as never });
  if (!store.archives().includes(created.name)) await store.create(created, impatient);
  const archive = await store.open(created.name, impatient);
  await use(archive);
  await archive.close();
}

/** An archive whose catalogue was replaced once, a slot once, and another slot removed. */
async function rootWithHistory(t: TestContext): Promise<string> {
  const root = scratchFor(t);
  await inArchive(root, async (archive) => {
    const replaces = createHash('sha512-256').update(catalogueOf('catalogue 1')).digest();
    await archive.putCatalogue(replaces, catalogueOf('catalogue 2'));
    await archive.putSlot({ name: 'passphrase', data: slotOf('other') });
    await archive.putSlot({ name: 'recovery', data: slotOf('r') });
    await archive.dropSlot('recovery');
  });
  return root;
}

const said = (root: string, file: string) => saidBy(readFileSync(join(root, 'laptop', file)));

interface Listed {
  readonly archives: readonly { readonly archive: string; readonly kept: readonly Record<string, unknown>[] }[];
}

test('kept list shows every version with its number', async (t) => {
  const root = await rootWithHistory(t);
  const { status, stdout, stderr } = receiver(root, 'kept', 'list', '--json');
  assert.deepEqual([status, stderr], [0, '']);
  const { archives } = JSON.parse(stdout) as Listed;
  assert.deepEqual(
    archives[0]?.kept.map(({ number, object, slot, state }) => [number, object, slot, state]),
    [
      [1, 'catalogue', null, 'replaced'],
      [3, 'catalogue', null, 'current'],
      [2, 'slot', 'passphrase', 'replaced'],
      [4, 'slot', 'passphrase', 'current'],
      [5, 'slot', 'recovery', 'removed'],
    ],
  );
  const [catalogue, , slot] = archives[0].kept;
  assert.deepEqual(Object.keys(catalogue!).sort(), [
    'bytes',
    'number',
    'object',
    'put',
    'sha256',
    'slot',
    'state',
    'until',
  ]);
  assert.equal(catalogue!.sha256, createHash('sha256').update(catalogueOf('catalogue 1')).digest('hex'));
  assert.equal(catalogue!.until, null);
  const days = (Date.parse(String(slot!.until)) - Date.parse(String(slot!.put))) / 86_400_000;
  assert.ok(days >= 30 && days < 30.01, String(days));
  const table = receiver(root, 'kept', 'list').stdout;
  assert.match(
    table,
    /^laptop\n {2}version {2}of +put \(UTC\) +size {2}state\n {8}1 {2}catalogue +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +44 B {2}replaced\n/,
  );
  assert.match(table, / {8}5 {2}slot recovery .* removed, expires after \d{4}-\d\d-\d\d\n/);
});

test('kept restore puts one back with --yes, and says what dom0 makes of it on a terminal', async (t) => {
  const root = await rootWithHistory(t);
  const unasked = receiver(root, 'kept', 'restore', '1');
  assert.equal(unasked.status, 2);
  assert.match(unasked.stderr, /Put version 1 back\? There is no terminal to ask on\. Give --yes/);
  assert.equal(said(root, 'catalogue'), 'catalogue 2');
  const { status, stdout } = receiver(root, 'kept', 'restore', '1', '--yes', '--json');
  assert.equal(status, 0);
  assert.deepEqual((JSON.parse(stdout) as { archive: string; restored: { number: number } }).restored.number, 1);
  assert.equal(said(root, 'catalogue'), 'catalogue 1');
  const slot = receiver(root, 'kept', 'restore', '5', '--yes', '--archive', 'laptop');
  assert.equal(slot.status, 0, slot.stderr);
  assert.match(slot.stdout, /^laptop: version 5 \(key slot "recovery" as it was put .* UTC\) is back in its place\n$/);
  assert.equal(said(root, 'keys/recovery'), 'r');
});

test('on a terminal kept restore and kept remove ask', { skip: terminalSkip }, async (t) => {
  const root = await rootWithHistory(t);
  const place = { config: '', folder: root, env: {} };
  const asked = async (answer: string, ...args: string[]) =>
    await onTerminal(place, ['--root', root, ...args], [{ after: '[y/N]', type: `${answer}\n` }], { program: MAIN });
  const no = await asked('n', 'kept', 'restore', '1');
  assert.match(no.shown, /the archive was rolled back \(exit status 4\)[^]*Put version 1 back\? \[y\/N\]/);
  assert.equal(no.status, 130);
  assert.equal(said(root, 'catalogue'), 'catalogue 2');
  assert.equal((await asked('y', 'kept', 'restore', '1')).status, 0);
  assert.equal(said(root, 'catalogue'), 'catalogue 1');
  const remove = await asked('y', 'kept', 'remove', '5');
  assert.match(remove.shown, /key slot "recovery"[^]*Remove them\? \[y\/N\]/);
  assert.equal(remove.status, 0);
  assert.ok(!readdirSync(join(root, 'laptop/kept/keys')).some((name) => name.startsWith('00000005')));
});

test('kept remove takes several, and never what was put last', async (t) => {
  const root = await rootWithHistory(t);
  assert.equal(receiver(root, 'kept', 'remove', '2', '5').status, 2);
  const current = receiver(root, 'kept', 'remove', '3', '--yes');
  assert.equal(current.status, 5);
  assert.match(current.stderr, /version 3 is the current one of catalogue/);
  const { status, stdout } = receiver(root, 'kept', 'remove', '2', '5', '--yes', '--json');
  assert.equal(status, 0);
  const { removed } = JSON.parse(stdout) as { removed: { number: number }[] };
  assert.deepEqual(
    removed.map(({ number }) => number),
    [2, 5],
  );
  assert.equal(receiver(root, 'kept', 'remove', '2', '--yes').status, 1);
});

test('what is not clear, not there or damaged is an error that says what to do', async (t) => {
  const root = await rootWithHistory(t);
  for (const args of [
    ['restore'],
    ['restore', 'x'],
    ['restore', '0'],
    ['restore', '1', '2'],
    ['remove'],
    ['nosuch'],
    [],
  ]) {
    assert.equal(receiver(root, 'kept', ...args).status, 2, args.join(' '));
  }
  const missing = receiver(root, 'kept', 'restore', '77', '--yes');
  assert.equal(missing.status, 1);
  assert.match(missing.stderr, /laptop has no version 77\. See "sparsebak-receiver kept list"/);
  const folder = join(root, 'laptop/kept/catalogues');
  const first = readdirSync(folder).find((name) => name.startsWith('00000001'))!;
  writeFileSync(join(folder, first), catalogueOf('rotten'));
  const damaged = receiver(root, 'kept', 'restore', '1', '--yes');
  assert.equal(damaged.status, 1);
  assert.match(damaged.stderr, /kept\/catalogues\/00000001-.* is damaged/);
  assert.equal(said(root, 'catalogue'), 'catalogue 2');
  await inArchive(root, async () => undefined, 'other');
  const which = receiver(root, 'kept', 'restore', '1', '--yes');
  assert.equal(which.status, 2);
  assert.match(which.stderr, /which archive\? There are laptop, other\. Choose one with --archive/);
});

test(
  'another user’s archive is not touched: its owner could not read what is put back',
  { skip: process.getuid?.() === 0 ? false : 'machine: not root' },
  async (t) => {
    const root = await rootWithHistory(t);
    chownSync(join(root, 'laptop'), 65_534, 65_534);
    const { status, stderr } = receiver(root, 'kept', 'restore', '1', '--yes');
    assert.equal(status, 5);
    assert.match(stderr, /archive laptop belongs to another user.*sudo -u '#65534' sparsebak-receiver/);
  },
);
