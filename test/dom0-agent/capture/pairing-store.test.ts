/** What dom0's state looks like on disk, and what is believed of it after something went wrong there (G3). */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { DeltaMap } from '../../../dom0-agent/capture/delta-map.ts';
import { digest } from '../../../dom0-agent/capture/delta-map-file.ts';
import { PairingStore } from '../../../dom0-agent/capture/pairing-store.ts';
import { unpaired, type PairingState } from '../../../dom0-agent/capture/pairing.ts';
import type { ArchiveId, PairingId } from '../../../shared/archive/names.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

const CHUNK = 64 * 1024;
const ids = { archive: 'a'.repeat(32) as ArchiveId, pairing: 'b'.repeat(32) as PairingId };
const tick = {
  id: 'c'.repeat(32),
  time: 5,
  size: 9 * CHUNK,
  state: 'stopped',
  binding: { inode: 7, uuid: 'x' },
} as const;

function folderOf(stateDir: string, pool: string, volume: string): string {
  return join(stateDir, 'volumes', hash('sha256', `${pool}\0${volume}`, 'hex').slice(0, 32));
}

interface OneVolume {
  readonly store: PairingStore;
  readonly stateDir: string;
  readonly folder: string;
  readonly state: PairingState;
}

async function oneVolume(t: TestContext): Promise<OneVolume> {
  const stateDir = scratchFor(t);
  const store = new PairingStore(stateDir);
  const blank = unpaired('main', 'work/private.img');
  const map = DeltaMap.empty(CHUNK, tick.size);
  map.mark({ offset: 0, length: 1 });
  await store.save({ ...blank, tick, maps: [await store.writeMap(blank, ids, map)] });
  const loaded = store.load('main', 'work/private.img');
  assert.equal(loaded.kind, 'paired');
  return { store, stateDir, folder: folderOf(stateDir, 'main', 'work/private.img'), state: loaded.state };
}

describe('the pairing store', () => {
  it('keeps one folder a volume, closed to others', async (t) => {
    const { store, stateDir, folder, state } = await oneVolume(t);
    assert.deepEqual(readdirSync(folder).sort(), [`${ids.archive}-${ids.pairing}-1.map`, 'pairing.json']);
    for (const path of [join(stateDir, 'volumes'), folder]) assert.equal(statSync(path).mode & 0o777, 0o700);
    for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
    assert.deepEqual(state.tick, tick);
    assert.equal(state.generation, 1);
    assert.equal(state.maps[0]?.changedChunks, 1);
    assert.deepEqual(
      store.list().map((known) => known.kind),
      ['paired'],
    );
    assert.deepEqual(store.load('main', 'other'), { kind: 'none' });
    assert.deepEqual(store.load('main\0work', 'private.img'), { kind: 'none' });
  });

  it('removes what the state no longer names, and everything with a blank one', async (t) => {
    const { store, stateDir, folder, state } = await oneVolume(t);
    const map = store.readMap(state, state.maps[0]!);
    assert.equal(map.kind, 'intact');
    writeFileSync(join(folder, 'pairing.json.new'), 'torn');
    writeFileSync(join(folder, 'note'), 'not ours');
    await store.save({ ...state, maps: [await store.writeMap(state, ids, map.value)] });
    assert.deepEqual(readdirSync(folder).sort(), [`${ids.archive}-${ids.pairing}-2.map`, 'note', 'pairing.json']);
    rmSync(join(folder, 'note'));
    await store.save(unpaired('main', 'work/private.img'));
    assert.deepEqual(readdirSync(join(stateDir, 'volumes')), []);
    await store.save(unpaired('main', 'work/private.img'));
  });

  it('sweeps files that nothing names', async (t) => {
    const { store, stateDir, folder } = await oneVolume(t);
    const orphan = folderOf(stateDir, 'main', 'never saved');
    mkdirSync(orphan);
    const left = `${ids.archive}-${'d'.repeat(32)}-1.map`;
    for (const path of [orphan, folder]) writeFileSync(join(path, left), 'x');
    store.removeStrays();
    assert.deepEqual(readdirSync(join(stateDir, 'volumes')), [folder.split('/').at(-1)]);
    assert.equal(readdirSync(folder).length, 2);
  });

  it('never believes a map that is missing, changed, or of another generation', async (t) => {
    const { store, folder, state } = await oneVolume(t);
    const ref = state.maps[0]!;
    const path = join(folder, ref.file);
    const content = readFileSync(path);
    const { file: later } = await store.writeMap(state, ids, DeltaMap.empty(CHUNK, tick.size));
    const wrong: [string, () => void][] = [
      ['missing', () => rmSync(path)],
      ['cut short', () => writeFileSync(path, content.subarray(0, 20))],
      ['a bit flipped', () => writeFileSync(path, content.with(40, content.readUInt8(40) ^ 1))],
      [
        'a whole one, of another moment',
        () => {
          renameSync(join(folder, later), path);
        },
      ],
    ];
    for (const [what, spoil] of wrong) {
      spoil();
      assert.equal(store.readMap(state, ref).kind, 'damaged', what);
      writeFileSync(path, content);
      assert.equal(store.readMap(state, ref).kind, 'intact');
    }
  });

  it('never believes a pairing.json with any byte changed', async (t) => {
    const { store, folder } = await oneVolume(t);
    const path = join(folder, 'pairing.json');
    const content = readFileSync(path);
    for (let at = 0; at < content.length - 1; at++) {
      for (const flip of [1, 2]) {
        writeFileSync(path, content.with(at, content.readUInt8(at) ^ flip));
        assert.equal(store.load('main', 'work/private.img').kind, 'damaged', `byte ${at}`);
      }
    }
    for (const text of ['', '{}', 'null', '[]', content.subarray(0, 100), Buffer.alloc(content.length)]) {
      writeFileSync(path, text);
      assert.equal(store.load('main', 'work/private.img').kind, 'damaged');
      assert.deepEqual(
        store.list().map((known) => known.kind),
        ['damaged'],
      );
    }
  });

  it('never believes the state of another volume', async (t) => {
    const { store, stateDir, folder } = await oneVolume(t);
    renameSync(folder, folderOf(stateDir, 'main', 'vault/private.img'));
    assert.equal(store.load('main', 'vault/private.img').kind, 'damaged');
  });

  it('never believes what its own checksum covers but its schema refuses', async (t) => {
    const { store, folder, state } = await oneVolume(t);
    const refused: [string, unknown][] = [
      ['maps without a tick', { ...state, tick: null }],
      ['a tick without maps', { ...state, maps: [] }],
      ['two maps of one pairing', { ...state, maps: [...state.maps, ...state.maps] }],
      ['a path', { ...state, maps: [{ ...state.maps[0], file: '../../etc/passwd' }] }],
      ['a stranger', { ...state, more: 1 }],
      ['no version', { ...state, v: undefined }],
    ];
    const write = (value: unknown) => {
      const check = digest(Buffer.from(JSON.stringify(value))).toString('hex');
      writeFileSync(join(folder, 'pairing.json'), JSON.stringify({ check, state: value }));
    };
    for (const [what, value] of refused) {
      write(value);
      assert.equal(store.load('main', 'work/private.img').kind, 'damaged', what);
    }
    write({ ...state, v: 2 });
    assert.throws(() => store.load('main', 'work/private.img'), { code: 'failed', message: /newer/ });
    write(state);
    assert.equal(store.load('main', 'work/private.img').kind, 'paired');
  });

  it('says which file it could not read or write', async (t) => {
    const { store, folder } = await oneVolume(t);
    // A folder in its place: what no one may read, root neither.
    rmSync(join(folder, 'pairing.json'));
    mkdirSync(join(folder, 'pairing.json'));
    assert.throws(() => store.load('main', 'work/private.img'), { code: 'io', message: /pairing\.json/ });
  });

  it('fails, and keeps the old state, where there is no folder to write to', async (t) => {
    const stateDir = scratchFor(t);
    writeFileSync(join(stateDir, 'volumes'), 'in the way');
    const store = new PairingStore(stateDir);
    const map = () => store.writeMap(unpaired('main', 'v'), ids, DeltaMap.empty(CHUNK, 0));
    await assert.rejects(map, { code: 'io' });
  });
});
