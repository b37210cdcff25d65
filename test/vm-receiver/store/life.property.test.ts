import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chunkFileName, rangeFolderName } from '../../../shared/archive/address.ts';
import type { VolumeId } from '../../../shared/archive/names.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import { MemoryStore } from '../../fixtures/memory-store/memory-store.ts';
import type { ArchiveStore, Damage, Store } from '../../../vm-receiver/store/store.ts';
import { Random } from '../../fixtures/random.ts';
import { MemoryDisk } from './memory-disk.ts';
import {
  CHUNK,
  LAPTOP,
  OTHER_VOLUME,
  VOLUME,
  beginSession,
  bytes,
  impatient,
  newArchive,
  refusedAs,
  sessionName,
  stored,
  takeSteps,
  textOf,
  visible,
} from './small-volumes.ts';
import { NOTHING, change, pageOf, rangesOf, type Change, type State } from './volume-model.ts';

/** Five ranges: enough for some that a session has and its neighbours have not. */
const MOST = 5_000;
const VOLUMES = [VOLUME, OTHER_VOLUME];

type Command =
  | { readonly kind: 'send'; readonly volume: number; readonly change: Change }
  | { readonly kind: 'abandon'; readonly volume: number; readonly change: Change; readonly keep: boolean }
  | { readonly kind: 'prune' | 'protect' | 'unprotect'; readonly volume: number; readonly nth: number }
  | { readonly kind: 'delete' | 'rename'; readonly volume: number }
  | { readonly kind: 'damage'; readonly volume: number; readonly nth: number }
  | { readonly kind: 'scrub'; readonly files: number }
  | { readonly kind: 'deduplicate' | 'reopen' | 'tidy' };

const chunk = fc.oneof(fc.nat(MOST - 1), fc.constantFrom(0, 1, 1023, 1024, 2047, 2048, 4095, 4096));
const piece = fc.record({
  at: chunk,
  length: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: MOST })),
  data: fc.constantFrom('', '', 'a', 'b', 'c', 'd', 'e'),
});
const changes: fc.Arbitrary<Change> = fc.record({
  size: fc.oneof(fc.integer({ min: 1, max: MOST }), fc.constantFrom(1, 1024, 1025, MOST, MOST, MOST)),
  pieces: fc.array(piece, { maxLength: 6 }),
});
const volume = fc.nat(1);
const nth = fc.nat(9);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('send' as const), volume, change: changes }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('abandon' as const), volume, change: changes, keep: fc.boolean() }),
  },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('prune' as const), volume, nth }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('protect' as const, 'unprotect' as const), volume, nth }),
  },
  {
    weight: 1,
    // The first volume stays: something is to be lived on.
    arbitrary: fc.oneof(
      fc.record({ kind: fc.constant('delete' as const), volume: fc.constant(1) }),
      fc.record({ kind: fc.constant('rename' as const), volume }),
    ),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('damage' as const), volume, nth }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('scrub' as const), files: fc.nat(30) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom('deduplicate' as const, 'deduplicate' as const, 'reopen' as const, 'tidy' as const),
    }),
  },
);

interface Session {
  readonly number: number;
  readonly state: State;
  protected: boolean;
}

/** What everything should be, and how often what was done. */
class World {
  readonly store: Store;
  readonly disk: MemoryDisk | undefined;
  archive: ArchiveStore;
  readonly volumes = new Map<VolumeId, Session[]>();
  readonly deleted = new Set<VolumeId>();
  readonly done = new Map<string, number>();
  compared = 0;
  #number = 0;
  #now = Date.parse('2026-12-01T00:00:00Z');

  private constructor(store: Store, disk: MemoryDisk | undefined, archive: ArchiveStore) {
    this.store = store;
    this.disk = disk;
    this.archive = archive;
  }

  static async make(store: Store, disk: MemoryDisk | undefined, dedup: boolean): Promise<World> {
    await store.create(newArchive({ encrypted: false, dedup }), impatient);
    return new World(store, disk, await store.open(LAPTOP, impatient));
  }

  sessions(volume: VolumeId): Session[] {
    return this.volumes.get(volume) ?? [];
  }

  async take(command: Command): Promise<void> {
    if (await this.#take(command)) this.done.set(command.kind, (this.done.get(command.kind) ?? 0) + 1);
  }

  /** Whether there was anything to do. */
  async #take(command: Command): Promise<boolean> {
    const id = 'volume' in command ? VOLUMES[command.volume]! : VOLUME;
    const sessions = this.sessions(id);
    // The newest only where there is no other: it cannot be pruned.
    const session = 'nth' in command ? sessions[command.nth % Math.max(1, sessions.length - 1)] : undefined;
    switch (command.kind) {
      case 'send':
      case 'abandon':
        return await this.#send(id, command.change, command.kind === 'abandon' ? command.keep : undefined);
      case 'prune':
        return session !== undefined && (await this.#prune(id, session));
      case 'protect':
      case 'unprotect':
        if (session === undefined) return false;
        session.protected = command.kind === 'protect';
        assert.ok(await this.archive.protect(id, sessionName(session.number), session.protected));
        return true;
      case 'delete':
        return await this.#delete(id);
      case 'rename':
        assert.equal(await this.archive.rename(id, `name ${sessions.length}`), sessions.length > 0);
        return sessions.length > 0;
      case 'damage':
        return await this.#damage(id, command.nth);
      case 'scrub': {
        await this.#scrub(command.files);
        return true;
      }
      case 'deduplicate':
        await this.archive.deduplicate();
        return true;
      case 'tidy':
        assert.equal(await this.archive.tidy(), 0, 'nothing was cut off');
        return true;
      case 'reopen':
        await this.archive.close();
        this.archive = await this.store.open(LAPTOP, impatient);
        return true;
    }
  }

  async #send(id: VolumeId, what: Change, keep: boolean | undefined): Promise<boolean> {
    if (this.deleted.has(id)) return false;
    const before = this.sessions(id).at(-1);
    const { state, steps } = change(before?.state ?? NOTHING, what);
    const number = (this.#number += 1);
    const plan = { volume: id, base: before?.number ?? null, session: number, size: state.size, steps };
    const send = await beginSession(this.archive, plan);
    await takeSteps(send, steps);
    if (keep !== undefined) {
      await send.abandon(keep);
      return true;
    }
    await send.commit(bytes(`head ${number}`), [bytes(`index ${number}`)]);
    this.volumes.set(id, [...this.sessions(id), { number, state, protected: false }]);
    return true;
  }

  async #prune(id: VolumeId, session: Session): Promise<boolean> {
    const sessions = this.sessions(id);
    const name = sessionName(session.number);
    if (session === sessions.at(-1) || session.protected) {
      await assert.rejects(this.archive.prune(id, name), refusedAs('refused'));
      return false;
    }
    const told = await this.archive.freed(id, [name]);
    assert.equal(await this.archive.prune(id, name), told, 'what was told to be freed');
    this.volumes.set(
      id,
      sessions.filter((each) => each !== session),
    );
    return true;
  }

  async #delete(id: VolumeId): Promise<boolean> {
    if (this.sessions(id).some((each) => each.protected)) {
      await assert.rejects(this.archive.delete(id), refusedAs('refused'));
      return false;
    }
    await this.archive.delete(id);
    this.volumes.delete(id);
    this.deleted.add(id);
    return true;
  }

  /** A chunk of the newest session rots; scrubbing finds it, and what dom0 still has is put in its place. */
  async #damage(id: VolumeId, nth: number): Promise<boolean> {
    const newest = this.sessions(id).at(-1);
    const held = [...(newest?.state.content ?? [])];
    const [at, data] = held[nth % Math.max(1, held.length)] ?? [];
    if (this.disk === undefined || newest === undefined || at === undefined || data === undefined) return false;
    const file = `${rangeFolderName(Math.floor(at / 1024), CHUNK)}/${chunkFileName(at * CHUNK)}`;
    const path = this.sessions(id)
      .map(({ number }) => `/laptop/volumes/${id}/${sessionName(number)}/${file}`)
      .findLast((each) => this.disk?.kindOf(each) !== undefined);
    const fd = this.disk.open(path!, 'append');
    this.disk.overwrite(fd, bytes('rotten'));
    this.disk.close(fd);
    // The first one may go on with what was read before that.
    await this.#scrub(Infinity);
    await this.#scrub(Infinity);
    const address = at * CHUNK;
    if ((await this.archive.damage(id))?.addresses.includes(address) !== true) {
      assert.equal(
        await stored(this.archive, newest.number, at, id),
        data,
        'what rots is found, or repaired by its twin',
      );
      return true;
    }
    assert.ok(await this.archive.repair(id, sessionName(newest.number), { address }, bytes(data)));
    // What shared the rotten bytes is repaired by what is sound now.
    await this.#scrub(Infinity);
    assert.deepEqual(await this.archive.damage(id), { addresses: [], pages: [] });
    return true;
  }

  async #scrub(files: number): Promise<void> {
    let read = 0;
    const now = (this.#now += 1000);
    const file = async () => {
      read += 1;
    };
    await this.archive.scrub({ now, before: now, file, more: () => read < files });
  }

  /** Every session that is there is what it was, and there is no other. */
  async compare(): Promise<void> {
    const told = [...this.archive.volumes()].map(({ volume: id, sessions }) => [
      id,
      sessions.map((each) => [each.session, each.sizeBytes, each.protected]),
    ]);
    const expected = [...this.volumes]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, sessions]) => [
        id,
        sessions.map((each) => [sessionName(each.number), each.state.size * CHUNK, each.protected]),
      ]);
    assert.deepEqual(told, expected);
    for (const [id, sessions] of this.volumes) {
      const looked = new Set([0, ...sessions.flatMap(({ state }) => [...state.content.keys()])]);
      for (const session of sessions) await this.#compareSession(id, session, looked);
      assert.deepEqual(
        visible(this.archive, id),
        sessions.map(({ number }) => sessionName(number)),
      );
    }
  }

  async #compareSession(id: VolumeId, { number, state }: Session, looked: ReadonlySet<number>): Promise<void> {
    for (const at of looked) {
      if (at >= state.size) continue;
      const data = (await stored(this.archive, number, at, id)) ?? '';
      assert.equal(data, state.content.get(at) ?? '', `chunk ${at} of session ${number} of ${id}`);
      this.compared += 1;
    }
    for (let range = 0; range < rangesOf(state); range++) {
      const page = pageOf(state, range);
      // That of a range of zeros is never asked for.
      if (page === undefined) continue;
      assert.equal(textOf(await this.archive.page(id, sessionName(number), range)), page, `page ${range} of ${number}`);
    }
    assert.equal(textOf(await this.archive.index(id, sessionName(number))), `index ${number}`);
  }

  /** In the end: what was stored agrees with its checksums, and the receiver's own counts with what is there. */
  async conclude(): Promise<void> {
    for (const { volume: id, sessions } of this.archive.volumes()) {
      const damages: string[] = [];
      const damage = ({ place, kind }: Damage) => damages.push(`${kind} ${place}`);
      await this.archive.check(id, { damage, file: () => undefined });
      assert.deepEqual(damages, []);
      for (const { session, files, storedBytes } of this.disk === undefined ? [] : sessions) {
        assert.deepEqual({ files, storedBytes }, countIn(this.disk!, `/laptop/volumes/${id}/${session}`), session);
      }
    }
    for (const id of VOLUMES) await this.#delete(id).catch(() => undefined);
    await this.archive.close();
    assert.equal(this.disk?.openFiles ?? 0, 0);
  }
}

/** Chunks, and bytes of chunks, pages, head and index. */
function countIn(disk: MemoryDisk, session: string): { files: number; storedBytes: number } {
  const sizeOf = (path: string) => disk.entryAt(path)?.size ?? 0;
  let files = 0;
  let storedBytes = sizeOf(`${session}/head`) + sizeOf(`${session}/index`);
  for (const range of disk.list(session).filter((name) => /^[0-9a-f]{10}$/.test(name))) {
    for (const file of disk.list(`${session}/${range}`).filter((name) => /^([0-9a-f]{16}|page)$/.test(name))) {
      if (file !== 'page') files += 1;
      storedBytes += sizeOf(`${session}/${range}/${file}`);
    }
  }
  return { files, storedBytes };
}

async function live(world: World, commands: readonly Command[]): Promise<void> {
  for (const each of commands) {
    await world.take(each);
    await world.compare();
  }
  await world.conclude();
}

const options = { root: '/', requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } };
const STORES: Record<string, () => Promise<World>> = {
  'in files': async () => {
    const disk = new MemoryDisk();
    return await World.make(new FilesStore(disk, options), disk, false);
  },
  'in files that are shared': async () => {
    const disk = new MemoryDisk();
    disk.maxLinks = 5;
    return await World.make(new FilesStore(disk, options), disk, true);
  },
  'in memory': () => World.make(new MemoryStore(), undefined, false),
};

for (const [name, make] of Object.entries(STORES)) {
  test(`I4: ${name}: whatever is done, every session that is there reads as ever, after each step`, async () => {
    const done = new Map<string, number>();
    let compared = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 15, maxLength: 40, size: 'max' }), async (commands) => {
        const world = await make();
        await live(world, commands);
        compared += world.compared;
        for (const [kind, count] of world.done) done.set(kind, (done.get(kind) ?? 0) + count);
      }),
      { numRuns: 60, seed: new Random(`life ${name}`).seed | 0 },
    );
    console.log(
      `${name}: ${compared} chunks compared, ${[...done].map(([kind, count]) => `${count} ${kind}`).join(', ')}`,
    );
    assert.ok(compared > 1000 && (done.get('prune') ?? 0) > 30);
  });
}
