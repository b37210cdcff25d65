// Damage to the catalogue and to key slots is found, named and repaired from what is kept, and nothing else is taken
// for damage.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { systemDisk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import type { ArchiveStore, ArchiveDamage } from '../../../vm-receiver/store/store.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { LAPTOP, catalogueOf, impatient, newArchive, saidBy, slotOf } from './small-volumes.ts';

interface Scene {
  readonly archive: ArchiveStore;
  readonly folder: string;
  readonly check: () => Promise<readonly ArchiveDamage[]>;
  readonly scrub: () => Promise<readonly ArchiveDamage[]>;
  /** What opens the archive, by what it says. */
  readonly opens: () => Record<string, string | undefined>;
}

/** The path of the kept file with this number. */
function keptPath(folder: string, number: number): string {
  for (const kind of ['keys', 'catalogues']) {
    const found = readdirSync(join(folder, 'kept', kind)).find((name) => Number(name.slice(0, 8)) === number);
    if (found !== undefined) return join(folder, 'kept', kind, found);
  }
  throw new Error(`no version ${number}`);
}

async function scene(t: TestContext, encrypted = true): Promise<Scene> {
  const root = scratchFor(t);
  const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  await store.create(newArchive({ encrypted }), impatient);
  const archive = await store.open(LAPTOP, impatient);
  const [one, two] = ['catalogue 1', 'c2'].map((said) => catalogueOf(said, { encrypted }));
  await archive.putCatalogue(createHash('sha512-256').update(one!).digest(), two!);
  await archive.putSlot({ name: 'recovery', data: slotOf('r') });
  await archive.putSlot({ name: 'gone', data: slotOf('gone') });
  await archive.dropSlot('gone');
  t.after(() => archive.close());
  const folder = join(root, LAPTOP);
  const said = (file: string) =>
    existsSync(join(folder, file)) ? saidBy(readFileSync(join(folder, file))) : undefined;
  return {
    archive,
    folder,
    check: () => archive.checkObjects(() => undefined),
    scrub: async () =>
      (await archive.scrub({ now: Date.now(), before: 0, more: () => true, file: async () => undefined })).objects,
    opens: () => ({
      catalogue: said('catalogue'),
      passphrase: said('keys/passphrase'),
      recovery: said('keys/recovery'),
    }),
  };
}

const SOUND = { catalogue: 'c2', passphrase: 'a slot', recovery: 'r' };
const named = (damages: readonly ArchiveDamage[]) =>
  damages.map(({ place, kind, repaired }) => [place, kind, repaired]);

const DAMAGES: Record<string, { readonly kind: string; readonly damage: (path: string) => void }> = {
  'is missing': { kind: 'missing', damage: (path) => rmSync(path) },
  'is empty': { kind: 'corrupt', damage: (path) => truncateSync(path) },
  'is cut short': { kind: 'corrupt', damage: (path) => truncateSync(path, 30) },
  'is garbage': { kind: 'corrupt', damage: (path) => writeFileSync(path, Buffer.alloc(200, 9)) },
  'has 8 GiB': { kind: 'unreadable', damage: (path) => truncateSync(path, 8 * 2 ** 30) },
  'is a folder': {
    kind: 'unreadable',
    damage: (path) => (rmSync(path), mkdirSync(join(path, 'inner'), { recursive: true })),
  },
  'is a FIFO': { kind: 'unreadable', damage: (path) => (rmSync(path), execFileSync('mkfifo', [path])) },
  'is a link': {
    kind: 'unreadable',
    damage: (path) => {
      rmSync(path);
      symlinkSync('/etc/hostname', path);
    },
  },
};

describe('the catalogue and the key slots', () => {
  test('nothing is wrong with them, before and after each change', async (t) => {
    const { check, scrub, opens } = await scene(t);
    assert.deepEqual(await check(), []);
    assert.deepEqual(await scrub(), []);
    assert.deepEqual(opens(), SOUND);
  });

  for (const [what, { kind, damage }] of Object.entries(DAMAGES)) {
    test(`S12: one that ${what} is named by check, and put back by scrub`, async (t) => {
      const { check, scrub, opens, folder } = await scene(t);
      const places = ['catalogue', 'keys/passphrase', 'keys/recovery'];
      for (const place of places) damage(join(folder, place));
      const found = await check();
      assert.deepEqual(
        named(found),
        places.map((place) => [place, kind, false]),
      );
      for (const { remedy } of found)
        assert.match(remedy, /"sparsebak-receiver scrub" puts back version \d, the last one put/);
      const scrubbed = await scrub();
      assert.deepEqual(
        named(scrubbed),
        places.map((place) => [place, kind, true]),
      );
      assert.match(scrubbed[0]?.remedy ?? '', /version 3, the last one put, is back in its place/);
      assert.deepEqual(opens(), SOUND);
      assert.deepEqual([await check(), await scrub()], [[], []]);
    });
  }

  test('S12: all slots with their folder', async (t) => {
    const { check, scrub, opens, folder } = await scene(t);
    rmSync(join(folder, 'keys'), { recursive: true });
    assert.deepEqual(named(await check()), [
      ['keys/passphrase', 'missing', false],
      ['keys/recovery', 'missing', false],
    ]);
    assert.equal((await scrub()).filter(({ repaired }) => repaired).length, 2);
    assert.deepEqual(opens(), SOUND);
    assert.deepEqual(await check(), []);
    rmSync(join(folder, 'kept'), { recursive: true });
    rmSync(join(folder, 'keys'), { recursive: true });
    const [lost] = await check();
    assert.deepEqual([lost?.place, lost?.kind], ['keys', 'missing']);
    assert.match(lost?.remedy ?? '', /"sparsebak key add"/);
  });

  test('a slot with one byte changed is put back', async (t) => {
    const { check, scrub, opens, folder } = await scene(t);
    const slot = readFileSync(join(folder, 'keys/recovery'));
    slot[100] = slot[100]! ^ 1;
    writeFileSync(join(folder, 'keys/recovery'), slot);
    assert.deepEqual(named(await check()), [['keys/recovery', 'corrupt', false]]);
    assert.deepEqual(named(await scrub()), [['keys/recovery', 'corrupt', true]]);
    assert.deepEqual(opens(), SOUND);
  });

  test('a sealed catalogue with one byte changed is named, with what to do, and left: it may be a later one', async (t) => {
    const { check, scrub, folder, archive } = await scene(t);
    const catalogue = readFileSync(join(folder, 'catalogue'));
    catalogue[40] = catalogue[40]! ^ 1;
    writeFileSync(join(folder, 'catalogue'), catalogue);
    for (const damages of [await check(), await scrub()]) {
      assert.deepEqual(named(damages), [['catalogue', 'corrupt', false]]);
      assert.match(damages[0]?.remedy ?? '', /"sparsebak verify" in dom0.*"sparsebak-receiver kept restore 3"/);
    }
    assert.deepEqual(readFileSync(join(folder, 'catalogue')), catalogue);
    await archive.putBack(3);
    assert.deepEqual(await check(), []);
  });

  test('what an older receiver puts is no damage: a slot, and, once it is replaced, a catalogue', async (t) => {
    const { check, scrub, archive, folder } = await scene(t);
    writeFileSync(join(folder, 'keys/passphrase'), slotOf('of an older receiver'));
    writeFileSync(join(folder, 'keys/another'), slotOf('another'));
    rmSync(join(folder, 'keys/gone'), { force: true });
    assert.deepEqual(await check(), []);
    assert.deepEqual(await scrub(), []);
    const current = archive.kept().filter(({ standing }) => standing === 'current');
    assert.deepEqual(current.map(({ slot }) => slot).sort(), ['another', 'passphrase', 'recovery', undefined]);
    rmSync(join(folder, 'keys/passphrase'));
    await scrub();
    assert.equal(saidBy(readFileSync(join(folder, 'keys/passphrase'))), 'of an older receiver');
    writeFileSync(join(folder, 'catalogue'), catalogueOf('of an older receiver'));
    const replaces = createHash('sha512-256').update(catalogueOf('of an older receiver')).digest();
    await archive.putCatalogue(replaces, catalogueOf('c4'));
    assert.deepEqual(await check(), []);
  });

  test('an archive of before has nothing to be compared with, and has it after the first scrub', async (t) => {
    const { check, scrub, opens, folder } = await scene(t);
    rmSync(join(folder, 'kept'), { recursive: true });
    assert.deepEqual(await check(), []);
    rmSync(join(folder, 'keys/passphrase'));
    assert.deepEqual(await check(), [], 'nobody knows of it');
    truncateSync(join(folder, 'keys/recovery'), 100);
    truncateSync(join(folder, 'catalogue'), 10);
    const found = await check();
    assert.deepEqual(named(found), [
      ['catalogue', 'corrupt', false],
      ['keys/recovery', 'corrupt', false],
    ]);
    assert.match(found[0]?.remedy ?? '', /the next "sparsebak send"/);
    assert.match(found[1]?.remedy ?? '', /"sparsebak key add".*"sparsebak key remove recovery"/);
    assert.equal((await scrub()).length, 2);
    writeFileSync(join(folder, 'catalogue'), catalogueOf('c2'));
    writeFileSync(join(folder, 'keys/recovery'), slotOf('r'));
    assert.deepEqual(await scrub(), []);
    rmSync(join(folder, 'catalogue'));
    rmSync(join(folder, 'keys/recovery'));
    assert.deepEqual(
      named(await scrub()).map(([place, , repaired]) => [place, repaired]),
      [
        ['catalogue', true],
        ['keys/recovery', true],
      ],
    );
    assert.deepEqual(opens(), { ...SOUND, passphrase: undefined });
  });

  test('a copy that is damaged is made again from what is in use, and can be removed where nothing needs it', async (t) => {
    const { archive, check, scrub, folder } = await scene(t);
    writeFileSync(keptPath(folder, 3), catalogueOf('rotten'));
    writeFileSync(keptPath(folder, 2), 'rotten');
    writeFileSync(keptPath(folder, 1), 'rotten');
    const found = await check();
    const numberOf = (place: string) => Number(/^kept\/\w+\/(\d{8})-/.exec(place)?.[1]);
    assert.deepEqual(
      found.map(({ place, kind }) => [numberOf(place), kind]),
      [1, 3, 2].map((number) => [number, 'corrupt']),
    );
    const scrubbed = await scrub();
    assert.deepEqual(
      scrubbed.map(({ repaired }) => repaired),
      [false, true, true],
    );
    assert.match(scrubbed[0]?.remedy ?? '', /"sparsebak-receiver kept remove 1"/);
    await archive.forget(1);
    assert.deepEqual(await check(), []);
    // Neither can be had any more: nothing is put back.
    writeFileSync(keptPath(folder, 3), 'rotten');
    rmSync(join(folder, 'catalogue'));
    assert.ok((await scrub()).every(({ repaired }) => !repaired));
    assert.ok(!existsSync(join(folder, 'catalogue')));
  });

  test('a removed slot stays removed, whatever becomes of the copies', async (t) => {
    const { scrub, folder } = await scene(t);
    renameSync(join(folder, 'kept'), join(folder, 'elsewhere'));
    await scrub();
    renameSync(join(folder, 'elsewhere'), join(folder, 'kept.old'));
    await scrub();
    assert.deepEqual(readdirSync(join(folder, 'keys')).sort(), ['passphrase', 'recovery']);
  });

  test('a plain catalogue that is no map is put back', async (t) => {
    const { scrub, opens, folder } = await scene(t, false);
    const catalogue = readFileSync(join(folder, 'catalogue'));
    catalogue[3] = 0xc1;
    writeFileSync(join(folder, 'catalogue'), catalogue);
    assert.deepEqual(named(await scrub()), [['catalogue', 'corrupt', true]]);
    assert.deepEqual(opens(), SOUND);
  });
});
