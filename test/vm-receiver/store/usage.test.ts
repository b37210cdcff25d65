import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemDisk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import { makeScratch } from '../../fixtures/scratch.ts';
import {
  CHUNK,
  LAPTOP,
  OTHER_VOLUME,
  VOLUME,
  beginSession,
  bytes,
  impatient,
  newArchive,
  sessionName,
  planOf,
} from './small-volumes.ts';

const LENGTH = 40_000;

test('what is told to be on the disk is what du counts, what is shared once', async () => {
  const root = makeScratch('usage');
  try {
    for (const dedup of [false, true]) {
      const name = dedup ? ('shared' as typeof LAPTOP) : LAPTOP;
      const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
      await store.create(newArchive({ name, encrypted: false, dedup }), impatient);
      const archive = await store.open(name, impatient);
      for (const volume of [VOLUME, OTHER_VOLUME]) {
        for (const session of [1, 2]) {
          const send = await beginSession(archive, { volume, ...planOf(session, 2000) });
          // The first chunks are the same in both volumes, and the fifth in all sessions.
          for (let chunk = 0; chunk < 4; chunk++) send.chunk(chunk * CHUNK, Buffer.alloc(LENGTH, 10 * session + chunk));
          send.chunk(4 * CHUNK, Buffer.alloc(LENGTH, 99));
          await send.commit(bytes('head'), [bytes('index')]);
        }
      }
      const left = await beginSession(archive, planOf(3, 2000));
      left.chunk(0, Buffer.alloc(LENGTH, 7));
      await left.checkpoint(CHUNK * 1024);
      await left.abandon(true);
      const session = await archive.usage(VOLUME, sessionName(1));
      assert.equal(session?.bytes, 5 * LENGTH + 'headindex'.length + systemFiles(root, name, VOLUME));
      const usages = [];
      for (const volume of [VOLUME, OTHER_VOLUME]) {
        for (const each of [sessionName(1), sessionName(2), undefined]) {
          usages.push((await archive.usage(volume, each))!);
        }
      }
      const shared = await archive.sharedUsage();
      const told = usages.reduce((sum, { diskBytes }) => sum + diskBytes, 0) + shared.diskBytes;
      const counted = du(join(root, name, 'volumes'), ...(dedup ? [join(root, name, 'pool')] : []));
      // The folders of the pool, of the volumes, and the one above them are not anybody's.
      const folders = (dedup ? 13 : 3) * 4096;
      assert.ok(told <= counted && told >= counted - folders, `${told} told, ${counted} counted`);
      const copies = dedup ? 2 * 4 + 3 : 0;
      assert.ok(shared.savedBytes >= copies * LENGTH && shared.savedBytes <= copies * (LENGTH + 4096));
      const sharing = usages.reduce((sum, { sharedBytes }) => sum + sharedBytes, 0);
      assert.equal(sharing > 0, dedup);
      assert.ok(usages[2]!.diskBytes >= LENGTH, 'the unfinished send');
      assert.equal(await archive.usage(VOLUME, sessionName(9)), undefined);
      await archive.close();
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

/** Bytes of the files of a session that hold no content: size, checksums, the receiver's count. */
function systemFiles(root: string, name: string, volume: string): number {
  const session = join(root, name, 'volumes', volume, sessionName(1));
  const files = ['size', 'sha256', 'stats', '0000000000/sha256'];
  return files.reduce((sum, file) => sum + (systemDisk.entryAt(join(session, file))?.size ?? 0), 0);
}

function du(...paths: string[]): number {
  const lines = execFileSync('du', ['--summarize', '--total', '--block-size=1', ...paths], { encoding: 'utf8' });
  return Number(/^(\d+)\ttotal$/m.exec(lines)?.[1]);
}
