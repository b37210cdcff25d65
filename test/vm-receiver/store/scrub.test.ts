import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import type { ArchiveStore, Scrubbed } from '../../../vm-receiver/store/store.ts';
import { MemoryDisk } from './memory-disk.ts';
import {
  CHUNK,
  LAPTOP,
  OTHER_VOLUME,
  VOLUME,
  bytes,
  commitSession,
  impatient,
  newArchive,
  refusedAs,
  sessionName,
  stored,
  textOf,
  planOf,
  range,
  zeros,
  type SessionPlan,
} from './small-volumes.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-12-01T00:00:00Z');

const PLANS: readonly SessionPlan[] = [
  planOf(1, 4000, range('a', 0, 1), range('a', 1024), range('a', 3999)),
  planOf(2, 4000, range('b', 1)),
  planOf(3, 3000, range('c', zeros(0))),
];

async function withThree(
  use: (archive: ArchiveStore, disk: MemoryDisk, store: FilesStore) => Promise<void>,
  dedup = false,
): Promise<void> {
  const disk = new MemoryDisk();
  const store = new FilesStore(disk, { root: '/', requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  await store.create(newArchive({ encrypted: !dedup, dedup }), impatient);
  const archive = await store.open(LAPTOP, impatient);
  for (const plan of PLANS) await commitSession(archive, plan);
  await use(archive, disk, store);
  await archive.close();
  assert.equal(disk.openFiles, 0);
}

function pathOf(place: string, volume = VOLUME): string {
  return `/laptop/volumes/${volume}/${place}`;
}

const S1 = sessionName(1);
const S2 = sessionName(2);
const S3 = sessionName(3);
const R0 = '0000000000';
const R1 = '0000000004';
const R3 = '000000000c';

function chunkName(chunk: number): string {
  return (chunk * CHUNK).toString(16).padStart(16, '0');
}

function rot(disk: MemoryDisk, place: string): void {
  const fd = disk.open(pathOf(place), 'append');
  disk.overwrite(fd, bytes('rotten'));
  disk.close(fd);
}

interface Asked {
  readonly now?: number;
  readonly before?: number;
  readonly files?: number;
  readonly renewChecksums?: boolean;
}

function contentOf(disk: MemoryDisk, path: string): string {
  const fd = disk.open(path, 'read');
  const content = Buffer.alloc(disk.entryOf(fd).size);
  disk.read(fd, content, 0, content.length);
  disk.close(fd);
  return content.toString();
}

/** A scrub of everything, or until `files` were read; gives what it read, too. */
async function scrub(
  archive: ArchiveStore,
  { now = NOW, before = now, files = Infinity, renewChecksums = false }: Asked = {},
): Promise<Scrubbed & { read: number }> {
  let read = 0;
  const file = async () => {
    read += 1;
  };
  return { ...(await archive.scrub({ now, before, file, renewChecksums, more: () => read < files })), read };
}

/** Files that have a checksum: those of three sessions, their chunks and pages. */
const ALL = 3 * 3 + 7 + 2 + 2;

describe('scrubbing', () => {
  test('reads everything that is stored, and finds nothing where nothing is wrong', () =>
    withThree(async (archive) => {
      assert.deepEqual(await scrub(archive), {
        ...{ objects: [], damages: [], repaired: 0, renewed: 0 },
        ...{ since: NOW, remembered: true, read: ALL },
      });
    }));

  test('names what is damaged, and the sessions that it hurts, until it is sound again', () =>
    withThree(async (archive, disk) => {
      rot(disk, `${S1}/${R0}/${chunkName(1)}`);
      rot(disk, `${S1}/${R0}/${chunkName(0)}`);
      disk.remove(pathOf(`${S1}/${R1}/${chunkName(1024)}`));
      rot(disk, `${S1}/${R3}/${chunkName(3999)}`);
      disk.remove(pathOf(`${S1}/${R1}/page`));
      rot(disk, `${S2}/index`);
      disk.remove(pathOf(`${S3}/${R0}/sha256`));
      disk.close(disk.open(pathOf(`${S2}/${R0}/${chunkName(7)}`), 'new'));
      const damages = [
        { place: `${S1}/${R0}/${chunkName(0)}`, kind: 'corrupt', sessions: [S1, S2] },
        { place: `${S1}/${R0}/${chunkName(1)}`, kind: 'corrupt', sessions: [S1] },
        { place: `${S1}/${R1}/${chunkName(1024)}`, kind: 'missing', sessions: [S1, S2, S3] },
        { place: `${S1}/${R1}/page`, kind: 'missing', sessions: [S1, S2, S3] },
        // The last session ends below it.
        { place: `${S1}/${R3}/${chunkName(3999)}`, kind: 'corrupt', sessions: [S1, S2] },
        { place: `${S2}/${R0}/${chunkName(7)}`, kind: 'unlisted', sessions: [S2, S3] },
        { place: `${S2}/index`, kind: 'corrupt', sessions: [S2] },
        { place: `${S3}/${R0}/sha256`, kind: 'missing', sessions: [S3] },
      ].map((harm) => ({ volume: VOLUME, ...harm }));
      assert.deepEqual((await scrub(archive)).damages, damages);
      const later = await scrub(archive, { before: NOW - DAY });
      assert.equal(later.read, 0, 'all was read a moment ago');
      assert.deepEqual(later.damages, damages, 'and what was found is still so');
      disk.replace(pathOf(`${S2}/index`), 'index 2');
      assert.deepEqual(
        (await scrub(archive, { before: NOW - DAY })).damages,
        damages.filter(({ place }) => place !== `${S2}/index`),
      );
    }));

  test('goes on where it was stopped, and reads nothing twice', () =>
    withThree(async (archive, disk) => {
      rot(disk, `${S1}/${R3}/${chunkName(3999)}`);
      let read = 0;
      let runs = 0;
      for (let result; result?.since === undefined; runs++) {
        result = await scrub(archive, { now: NOW + runs * DAY, before: NOW, files: 1 });
        read += result.read;
        assert.ok(result.read <= 6, 'a folder at a time');
      }
      assert.equal(read, ALL);
      assert.ok(runs >= 5, `${runs} runs`);
      const { since, damages } = await scrub(archive, { before: 0 });
      // As old as the beginning of the reading that took several runs.
      assert.equal(since, NOW);
      assert.equal(damages.length, 1);
    }));

  test('S13: reads what was not read for longest first; times that are still to come count for nothing', () =>
    withThree(async (archive) => {
      await commitSession(archive, { ...PLANS[0]!, volume: OTHER_VOLUME });
      await scrub(archive, { now: NOW });
      await commitSession(archive, { ...PLANS[1]!, volume: OTHER_VOLUME });
      assert.equal((await scrub(archive, { now: NOW + DAY, before: NOW - 29 * DAY })).read, 3 + 2, 'the new one');
      assert.equal((await scrub(archive, { now: NOW + DAY, before: NOW - 29 * DAY })).read, 0);
      const later = await scrub(archive, { now: NOW + 31 * DAY, before: NOW + 1 });
      assert.equal(later.read, ALL + 10, 'those of the first run');
      assert.equal(later.since, NOW + DAY);
      const back = await scrub(archive, { now: NOW - 365 * DAY, before: NOW - 400 * DAY });
      assert.equal(back.read, ALL + 10 + 5, 'the clock was wrong when it was read, or is now');
    }));

  test('what a pruned session had counts as unread as it did there, and its damage goes along', () =>
    withThree(async (archive, disk) => {
      await scrub(archive, { now: NOW });
      rot(disk, `${S1}/${R1}/${chunkName(1024)}`);
      rot(disk, `${S1}/index`);
      assert.equal((await scrub(archive, { now: NOW + DAY })).damages.length, 2);
      await archive.prune(VOLUME, S1);
      const place = `${S2}/${R1}/${chunkName(1024)}`;
      const { damages, since, read } = await scrub(archive, { now: NOW + 2 * DAY, before: NOW });
      assert.deepEqual(damages, [{ volume: VOLUME, place, kind: 'corrupt', sessions: [S2, S3] }]);
      assert.deepEqual([since, read], [NOW + DAY, 0]);
      // One that was never read makes what takes it over so.
      await commitSession(archive, planOf(4, 3000, [{ chunk: 9, data: 'd9' }]));
      await commitSession(archive, planOf(5, 3000, [{ chunk: 8, data: 'e8' }]));
      await scrub(archive, { now: NOW + 3 * DAY, before: NOW, files: 3 });
      await archive.prune(VOLUME, sessionName(4));
      assert.equal((await scrub(archive, { now: NOW + 4 * DAY, before: NOW, files: 0 })).since, undefined);
      const last = await scrub(archive, { now: NOW + 4 * DAY, before: NOW });
      assert.equal(last.since, NOW + DAY);
    }));

  test('a prune in the middle of a session’s reading has it read again', () =>
    withThree(async (archive) => {
      // Stopped in the first session, which is then taken over by the second; and that in its turn in the middle.
      await scrub(archive, { now: NOW, files: 4 });
      await archive.prune(VOLUME, S1);
      await scrub(archive, { now: NOW + DAY, files: 6 });
      await archive.prune(VOLUME, S2);
      const { since, read } = await scrub(archive, { now: NOW + 2 * DAY, before: NOW });
      assert.deepEqual([since, read], [NOW + 2 * DAY, 3 + 3 + 2]);
    }));

  test('S10: two at once are one after the other', () =>
    withThree(async (archive, _, store) => {
      const second = await store.open(LAPTOP, impatient);
      let refused = false;
      await archive.scrub({
        now: NOW,
        before: NOW,
        more: () => true,
        file: async () => {
          if (!refused) await assert.rejects(scrub(second), refusedAs('locked'));
          refused = true;
        },
      });
      assert.ok(refused);
      await second.close();
    }));

  test('forgets volumes that are gone, and starts anew where its notes are damaged', () =>
    withThree(async (archive, disk) => {
      await scrub(archive);
      disk.replace(`/laptop/scrub/${VOLUME}`, '{"sessions": {');
      assert.equal((await scrub(archive, { before: 0 })).read, ALL);
      await archive.delete(VOLUME);
      await scrub(archive);
      assert.deepEqual(disk.list('/laptop/scrub'), []);
    }));

  test('makes checksums again where there are none, if it is asked to, and hides no damage by that', () =>
    withThree(async (archive, disk) => {
      const lists = [`${S1}/${R0}`, `${S1}/${R1}`, `${S1}/${R3}`, S2].map((folder) => pathOf(`${folder}/sha256`));
      const before = lists.map((list) => contentOf(disk, list));
      disk.remove(lists[0]!);
      disk.replace(lists[1]!, `${before[1]!}no line of a list\n`);
      disk.replace(lists[2]!, before[2]!.replace(/^.*page\n/m, ''));
      disk.remove(lists[3]!);
      // What has its checksum still is not made sound by that, and nobody can tell of what has none.
      rot(disk, `${S1}/${R3}/${chunkName(3999)}`);
      rot(disk, `${S1}/${R0}/${chunkName(0)}`);
      assert.equal((await scrub(archive)).damages.length, 5);
      const asked = await scrub(archive, { before: 0, renewChecksums: true });
      // Two chunks and a page; none in the list that has a line too many; a page; head, index and size.
      assert.deepEqual([asked.read, asked.renewed], [0, 3 + 0 + 1 + 3]);
      assert.deepEqual(
        asked.damages.map(({ place }) => place),
        [`${S1}/${R3}/${chunkName(3999)}`],
      );
      assert.deepEqual(
        lists.slice(1).map((list) => contentOf(disk, list)),
        before.slice(1),
      );
      const later = await scrub(archive, { now: NOW + DAY, renewChecksums: true });
      assert.deepEqual([later.renewed, later.damages.length], [0, 1]);
      const found: string[] = [];
      await archive.check(VOLUME, { damage: ({ place }) => found.push(place), file: () => undefined });
      assert.equal(found.length, 1);
      rot(disk, `${S1}/${R0}/${chunkName(1)}`);
      assert.equal(
        (await scrub(archive, { now: NOW + 2 * DAY })).damages.length,
        2,
        'rot is found in that folder again',
      );
    }));

  test('a damaged chunk that has a sound twin in the pool is repaired by it', () =>
    withThree(async (archive, disk) => {
      const twin = { ...PLANS[0]!, volume: OTHER_VOLUME, steps: [{ chunk: 0, data: 'a0' }] };
      await commitSession(archive, twin);
      const damaged = pathOf(`${S1}/${R0}/${chunkName(0)}`);
      disk.remove(damaged);
      disk.close(disk.open(damaged, 'new'));
      disk.remove(pathOf(`${S1}/${R1}/${chunkName(1024)}`));
      const { damages, repaired } = await scrub(archive);
      assert.deepEqual([damages, repaired], [[], 2]);
      assert.equal(await stored(archive, 1, 0), 'a0');
      assert.equal(await stored(archive, 3, 1024), 'a1024');
    }, true));
});

describe('damage to the newest session', () => {
  test('is told by address and page, once it was found, and as it is now', () =>
    withThree(async (archive, disk) => {
      assert.deepEqual(await archive.damage(VOLUME), { addresses: [], pages: [] });
      assert.equal(await archive.damage(OTHER_VOLUME), undefined);
      rot(disk, `${S1}/${R0}/${chunkName(0)}`); // hidden by zeros
      rot(disk, `${S1}/${R3}/${chunkName(3999)}`); // past the end
      rot(disk, `${S2}/${R0}/${chunkName(1)}`);
      rot(disk, `${S1}/${R1}/${chunkName(1024)}`);
      rot(disk, `${S1}/${R1}/page`);
      rot(disk, `${S3}/${R0}/${chunkName(0)}`);
      assert.deepEqual(await archive.damage(VOLUME), { addresses: [], pages: [] }, 'nobody has looked');
      await scrub(archive);
      const damage = { addresses: [0, CHUNK, 1024 * CHUNK], pages: [1] };
      assert.deepEqual(await archive.damage(VOLUME), damage);
      await archive.prune(VOLUME, S1);
      assert.deepEqual(await archive.damage(VOLUME), damage, 'wherever it lies now');
      await commitSession(archive, planOf(4, 3000, [{ chunk: 1, data: 'd1' }]));
      assert.deepEqual(await archive.damage(VOLUME), { addresses: [0, 1024 * CHUNK], pages: [1] });
    }));

  test('is repaired for all sessions that have it from there', () =>
    withThree(async (archive, disk) => {
      rot(disk, `${S1}/${R1}/${chunkName(1024)}`);
      rot(disk, `${S1}/${R1}/page`);
      disk.remove(pathOf(`${S3}/${R0}/${chunkName(0)}`));
      await scrub(archive);
      const address = 1024 * CHUNK;
      assert.ok(await archive.repair(VOLUME, S3, { address }, bytes('sealed anew')));
      assert.ok(await archive.repair(VOLUME, S3, { page: 1 }, bytes('page sealed anew')));
      assert.ok(await archive.repair(VOLUME, S3, { address: 0 }, bytes('')));
      for (const session of [1, 2, 3]) {
        assert.equal(await stored(archive, session, 1024), 'sealed anew');
        assert.equal(textOf(await archive.page(VOLUME, sessionName(session), 1)), 'page sealed anew');
      }
      assert.equal(await stored(archive, 3, 0), '');
      assert.equal(await stored(archive, 2, 0), 'a0');
      assert.deepEqual(await archive.damage(VOLUME), { addresses: [], pages: [] });
      assert.deepEqual((await scrub(archive, { now: NOW + DAY })).damages, []);
    }));

  test('nothing that is sound is replaced, and nothing is put where nothing was', () =>
    withThree(async (archive) => {
      assert.ok(await archive.repair(VOLUME, S3, { address: CHUNK }, bytes('forged')));
      assert.equal(await stored(archive, 3, 1), 'b1');
      assert.ok(await archive.repair(VOLUME, S1, { page: 0 }, bytes('forged')));
      assert.equal(textOf(await archive.page(VOLUME, S1, 0)), 'page a0');
      assert.equal(await archive.repair(VOLUME, S3, { address: 9 * CHUNK }, bytes('forged')), false);
      assert.equal(await archive.repair(VOLUME, S3, { page: 2 }, bytes('forged')), false);
      assert.equal(await archive.repair(VOLUME, sessionName(9), { address: 0 }, bytes('forged')), false);
      assert.equal(await archive.repair(OTHER_VOLUME, S1, { address: 0 }, bytes('forged')), false);
      assert.equal(await stored(archive, 3, 9), undefined);
    }));

  test('what repairs one shared chunk repairs the others with the next scrub', () =>
    withThree(async (archive, disk) => {
      await commitSession(archive, { ...PLANS[0]!, volume: OTHER_VOLUME, steps: [{ chunk: 0, data: 'a0' }] });
      rot(disk, `${S1}/${R0}/${chunkName(0)}`);
      assert.equal((await scrub(archive)).damages.length, 2, 'they are one file');
      assert.ok(await archive.repair(OTHER_VOLUME, S1, { address: 0 }, bytes('a0')));
      const { damages, repaired } = await scrub(archive, { now: NOW + DAY });
      assert.deepEqual([damages, repaired], [[], 1]);
      assert.equal(await stored(archive, 1, 0), 'a0');
    }, true));
});
