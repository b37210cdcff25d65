// What the disk does to slots and the catalogue: a slot that cannot be read hides none of the others, and what cannot
// be read can be put again.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { ArchiveName } from '../../../shared/archive/names.ts';
import { systemDisk, type Disk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import type { ArchiveStore } from '../../../vm-receiver/store/store.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { catalogueOf, newArchive, refusedAs, saidBy, slotOf } from './small-volumes.ts';

const name = 'laptop' as ArchiveName;
const patience = { seconds: 1, signal: new AbortController().signal };
const EMPTY = createHash('sha512-256').update('').digest();

/** Reading one file fails as a bad sector does, or as another user's file. */
function badDisk(path: string, code: string): Disk {
  const bad = new Set<number>();
  return new Proxy(systemDisk, {
    get(target, property) {
      const operation = Reflect.get(target, property) as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => {
        if (property === 'read' && bad.has(args[0] as number)) throw Object.assign(new Error(code), { code });
        const result = operation.apply(target, args);
        if (property === 'open' && args[0] === path) bad.add(result as number);
        if (property === 'close') bad.delete(args[0] as number);
        return result;
      };
    },
  });
}

async function archiveOn(
  t: TestContext,
  disk: (folder: string) => Disk,
): Promise<{ archive: ArchiveStore; folder: string }> {
  const root = scratchFor(t);
  const options = { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } };
  await new FilesStore(systemDisk, options).create(
    {
      ...{ name, id: newArchive().id, chunkSize: 65536, encrypted: true, dedup: false },
      slots: [
        { name: 'bad', data: slotOf('bad') },
        { name: 'good', data: slotOf('good') },
      ],
      catalogue: catalogueOf('catalogue'),
    },
    patience,
  );
  const folder = join(root, name);
  return { archive: await new FilesStore(disk(folder), options).open(name, patience), folder };
}

function replaceBy(folder: string, make: (path: string) => void): void {
  rmSync(join(folder, 'catalogue'));
  make(join(folder, 'catalogue'));
}

function given(archive: ArchiveStore): { slots: (string | undefined)[]; lost: string[] } {
  const lost: string[] = [];
  const slots = [...archive.slots((slot) => lost.push(slot))].map(({ data }) => saidBy(data));
  return { slots, lost };
}

test('S2 S6 a slot that the disk cannot read is told of; that the receiver is out of handles is another thing', async (t) => {
  const { archive } = await archiveOn(t, (folder) => badDisk(join(folder, 'keys/bad'), 'EIO'));
  assert.deepEqual(given(archive), { slots: ['good'], lost: ['bad'] });
  await archive.putSlot({ name: 'new', data: slotOf('new') });
  const other = await archiveOn(t, (folder) => badDisk(join(folder, 'keys/bad'), 'EMFILE'));
  assert.throws(() => given(other.archive), Refusal);
});

test('a slot’s folder that is gone holds none, and is made by the next slot', async (t) => {
  const { archive, folder } = await archiveOn(t, () => systemDisk);
  rmSync(join(folder, 'keys'), { recursive: true });
  assert.deepEqual(given(archive), { slots: [], lost: [] });
  await archive.putSlot({ name: 'new', data: slotOf('new') });
  assert.deepEqual(given(archive), { slots: ['new'], lost: [] });
});

test('S2 S12 a catalogue that cannot be read is replaced as one without bytes, and by that alone', async (t) => {
  const cases: [answer: string, disk: (folder: string) => Disk][] = [
    ['io', (folder) => badDisk(join(folder, 'catalogue'), 'EIO')],
    ['conflict', (folder) => (rmSync(join(folder, 'catalogue')), systemDisk)],
    ['io', (folder) => (writeFileSync(join(folder, 'catalogue'), Buffer.alloc(17 * 2 ** 20)), systemDisk)],
    ['io', (folder) => (replaceBy(folder, (path) => execFileSync('mkfifo', [path])), systemDisk)],
    ['io', (folder) => (replaceBy(folder, (path) => symlinkSync(path, path)), systemDisk)],
    ['io', (folder) => (replaceBy(folder, (path) => symlinkSync('/etc/hostname', path)), systemDisk)],
    ['conflict', (folder) => (writeFileSync(join(folder, 'catalogue'), ''), systemDisk)],
  ];
  for (const [answer, each] of cases) {
    const { archive, folder } = await archiveOn(t, each);
    const next = catalogueOf('next');
    const old = createHash('sha512-256').update(catalogueOf('catalogue')).digest();
    await assert.rejects(archive.putCatalogue(old, next), refusedAs(answer));
    await archive.putCatalogue(EMPTY, next);
    assert.equal(saidBy(readFileSync(join(folder, 'catalogue'))), 'next');
  }
  const { archive, folder } = await archiveOn(t, () => systemDisk);
  await assert.rejects(
    archive.putCatalogue(EMPTY, catalogueOf('x')),
    (error) => (error as Refusal).answer === 'conflict',
  );
  // A folder in its place is not removed with what it holds.
  rmSync(join(folder, 'catalogue'));
  mkdirSync(join(folder, 'catalogue'));
  writeFileSync(join(folder, 'catalogue/kept'), 'kept');
  await archive.putCatalogue(EMPTY, catalogueOf('x'));
  const aside = readdirSync(folder).find((entry) => entry.startsWith('catalogue.aside-'));
  assert.equal(readFileSync(join(folder, aside ?? '', 'kept'), 'utf8'), 'kept');
});
