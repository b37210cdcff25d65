// What the receiver writes for itself may become anything: no command is stopped by it, and none waits for it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { systemDisk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import type { ArchiveStore, ScrubRequest } from '../../../vm-receiver/store/store.ts';
import { makeScratch } from '../../fixtures/scratch.ts';
import {
  CHUNK,
  LAPTOP,
  OTHER_VOLUME,
  VOLUME,
  beginSession,
  bytes,
  catalogueOf,
  commitSession,
  impatient,
  newArchive,
  pairingId,
  saidBy,
  sessionName,
  slotOf,
  stored,
  planOf,
} from './small-volumes.ts';

/** Some bytes that are the same for the same text. */
const chunkData = (text: string) => text.repeat(20);

type Impostor = (path: string) => void | Promise<void>;

const IMPOSTORS: Record<string, Impostor> = {
  nothing: () => undefined,
  'an empty file': (path) => {
    writeFileSync(path, '');
  },
  'a file of garbage': (path) => {
    writeFileSync(path, Buffer.from([0, 255, 10, 123, 34, 7]));
  },
  'a file of 8 GiB': (path) => {
    writeFileSync(path, '');
    truncateSync(path, 8 * 2 ** 30);
  },
  'a folder that is not empty': (path) => {
    mkdirSync(join(path, 'inner'), { recursive: true });
  },
  'a FIFO': (path) => {
    execFileSync('mkfifo', [path]);
  },
  'a link to a file': (path) => {
    symlinkSync('/etc/hostname', path);
  },
  'a link to itself': (path) => {
    symlinkSync(path, path);
  },
  'a socket': async (path) => {
    // Its name may have some hundred bytes; it stays when the listener is killed, not when it closes.
    const near = `/tmp/s-${process.pid}`;
    const server = createServer().listen(near);
    await once(server, 'listening');
    renameSync(near, path);
    server.close();
  },
  'a file of mode 000': (path) => {
    writeFileSync(path, 'x');
    chmodSync(path, 0);
  },
};

/** The receiver's own, within the archive. */
const SESSION = `volumes/${VOLUME}/${sessionName(2)}`;
const OWN = [
  `${SESSION}/stats`,
  `${SESSION}/size`,
  `${SESSION}/sha256`,
  `${SESSION}/0000000000/sha256`,
  `volumes/${VOLUME}/${sessionName(1)}/0000000000/sha256`,
  `volumes/${VOLUME}/newest`,
  `volumes/${VOLUME}/name`,
  `scrub/${VOLUME}`,
];
const OF_ALL = ['scrub', 'pool', 'kept/keys', 'kept/catalogues'];
const KEPT = ['kept'];

const everything: ScrubRequest = {
  now: Date.now(),
  before: Infinity,
  more: () => true,
  file: async () => undefined,
};

async function archiveOf(root: string): Promise<ArchiveStore> {
  mkdirSync(root, { recursive: true });
  const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  await store.create(newArchive({ encrypted: false, dedup: true }), impatient);
  const archive = await store.open(LAPTOP, impatient);
  for (const volume of [VOLUME, OTHER_VOLUME]) {
    await commitSession(archive, {
      volume,
      ...planOf(1, 3000, [
        { chunk: 0, data: chunkData('zero') },
        { chunk: 5, data: chunkData('five') },
        { page: 0, data: 'page' },
      ]),
    });
    await commitSession(archive, { volume, ...planOf(2, 3000, [{ chunk: 5, data: chunkData('new') }]) });
    await commitSession(archive, { volume, ...planOf(3, 3000, [{ chunk: 6, data: chunkData('six') }]) });
  }
  await archive.scrub(everything);
  return archive;
}

/** What opens an archive is put and removed, whatever has become of what was kept. */
async function putAnew(archive: ArchiveStore): Promise<void> {
  const [one, two] = ['catalogue 1', 'catalogue 2'].map((said) => catalogueOf(said, { encrypted: false }));
  await archive.putSlot({ name: 'passphrase', data: slotOf('other') });
  await archive.putSlot({ name: 'recovery', data: slotOf('r') });
  await archive.putCatalogue(createHash('sha512-256').update(one!).digest(), two!);
  await archive.dropSlot('passphrase');
  assert.deepEqual(
    [...archive.slots()].map(({ data }) => saidBy(data)),
    ['r'],
  );
  assert.equal(saidBy(archive.catalogue()), 'catalogue 2');
  const kept = archive.kept();
  const { number } = kept.find(({ slot, standing }) => slot === 'passphrase' && standing === 'removed')!;
  await archive.putBack(number);
  assert.equal([...archive.slots()].length, 2);
}

/** Everything that the receiver does with an archive; content is what it was. */
async function liveWith(archive: ArchiveStore): Promise<void> {
  assert.deepEqual(
    [...archive.volumes()].map(({ volume, sessions }) => [volume, sessions.length]),
    [
      [VOLUME, 3],
      [OTHER_VOLUME, 3],
    ],
  );
  assert.equal([...archive.heads(VOLUME, [])].length, 3);
  await archive.usage(VOLUME, sessionName(2));
  await archive.sharedUsage();
  await archive.check(VOLUME, { damage: () => undefined, file: () => undefined });
  const { damages } = await archive.scrub(everything);
  assert.ok(damages.every(({ volume }) => volume === VOLUME));
  assert.notEqual(await archive.damage(VOLUME), undefined);
  await archive.deduplicate();
  assert.equal(await archive.protect(VOLUME, sessionName(2), true), true);
  assert.equal(await archive.protect(VOLUME, sessionName(2), false), true);
  assert.equal(await archive.rename(VOLUME, 'renamed'), true);
  assert.notEqual(await archive.freed(VOLUME, [sessionName(1)]), undefined);
  await archive.resolve(VOLUME, pairingId(9), true);
  await commitSession(archive, planOf(4, 3000, [{ chunk: 7, data: chunkData('seven') }]));
  assert.notEqual(await archive.prune(VOLUME, sessionName(1)), undefined);
  assert.notEqual(await archive.prune(VOLUME, sessionName(2)), undefined);
  await archive.tidy();
  await archive.repair(VOLUME, sessionName(4), { address: 7 * CHUNK }, bytes(chunkData('seven')));
  for (const [chunk, data] of Object.entries({ 0: 'zero', 5: 'new', 6: 'six', 7: 'seven' })) {
    assert.equal(await stored(archive, 4, Number(chunk)), chunkData(data), `chunk ${chunk}`);
  }
  const send = await beginSession(archive, { volume: OTHER_VOLUME, ...planOf(4, 3000) });
  await send.abandon(false);
  assert.notEqual(await archive.delete(VOLUME), 0);
  await archive.close();
}

describe('S12: what the receiver writes for itself stops no command, whatever it has become', () => {
  for (const [what, make] of Object.entries(IMPOSTORS)) {
    test(what, { timeout: 120_000 }, async () => {
      const root = makeScratch('own');
      try {
        // Each volume's, and then those of all.
        for (const some of [OWN, OF_ALL, KEPT]) {
          const archive = await archiveOf(join(root, String(some.length)));
          for (const own of some) {
            const path = join(root, String(some.length), LAPTOP, own);
            rmSync(path, { recursive: true, force: true });
            await make(path);
          }
          await putAnew(archive);
          await liveWith(archive);
        }
      } finally {
        rmSync(root, { recursive: true, force: true });
      }
    });
  }
});

test('what was in the place of one of its own files is kept, and what can be known again is', async () => {
  const root = makeScratch('own');
  try {
    const archive = await archiveOf(root);
    const session = join(root, LAPTOP, SESSION);
    const before = [...archive.volumes()][0]!.sessions[1]!;
    assert.deepEqual({ files: before.files, sizeBytes: before.sizeBytes }, { files: 1, sizeBytes: 3000 * CHUNK });
    rmSync(join(session, 'stats'));
    mkdirSync(join(session, 'stats/inner'), { recursive: true });
    const lost = [...archive.volumes()][0]!.sessions[1]!;
    assert.deepEqual([lost.sizeBytes, lost.files, lost.storedBytes], [before.sizeBytes, 0, 0]);
    assert.deepEqual((await archive.scrub(everything)).damages, []);
    // When it was committed nothing else knows.
    const counted = { ...before, committed: undefined };
    assert.deepEqual([...archive.volumes()][0]!.sessions[1], counted, 'counted again');
    const aside = systemDisk.list(session).filter((name) => name.startsWith('stats.aside-'));
    assert.equal(aside.length, 1);
    assert.ok(existsSync(join(session, aside[0]!, 'inner')), 'what somebody put there is not deleted');
    writeFileSync(join(session, 'size'), '17\n');
    const { damages, repaired } = await archive.scrub(everything);
    assert.deepEqual([damages, repaired], [[], 1]);
    assert.equal(readFileSync(join(session, 'size'), 'latin1'), `${String(3000 * CHUNK)}\n`);
    await archive.close();
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
