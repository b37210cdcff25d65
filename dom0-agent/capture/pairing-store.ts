/**
 * Stores the pairing states: `<state dir>/volumes/<first 32 hex digits of SHA-256(pool NUL volume)>/` with pairing.json
 * and the files that it names. Files are durable before pairing.json names them, and removed only after it no longer
 * does, so at any moment there is one complete state on disk. Each file is used only if its hash is right.
 */
import { hash } from 'node:crypto';
import { join } from 'node:path';
import type { ArchiveId, PairingId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import * as z from '../../shared/zod.ts';
import { decodeDeltaMap, digest, encodeDeltaMap } from './delta-map-file.ts';
import type { DeltaMap } from './delta-map.ts';
import {
  isBlank,
  namedFiles,
  pairingState,
  STATE_FILE_NAME,
  unpaired,
  type MapRef,
  type PairingState,
} from './pairing.ts';
import { diskFiles, type StateFiles } from './state-files.ts';

export type Loaded =
  | { readonly kind: 'none' }
  | { readonly kind: 'paired'; readonly state: PairingState }
  | { readonly kind: 'damaged'; readonly reason: string };

/** One folder of state. A damaged one does not say to which volume it belongs. */
export type Known =
  | { readonly kind: 'paired'; readonly folder: string; readonly state: PairingState }
  | { readonly kind: 'damaged'; readonly folder: string; readonly reason: string };

export type Stored<T> =
  { readonly kind: 'intact'; readonly value: T } | { readonly kind: 'damaged'; readonly reason: string };

interface FileIds {
  readonly archive: ArchiveId;
  readonly pairing: PairingId;
}

export interface FileRef {
  readonly file: string;
  /** SHA-512/256 of the file, hexadecimal. */
  readonly hash: string;
}

const PAIRING = 'pairing.json';
const FOLDER_NAME = /^[0-9a-f]{32}$/;
const envelope = z.strictObject({ check: z.string(), state: z.unknown() });
const versioned = z.looseObject({ v: z.int() });

export class PairingStore {
  readonly #volumes: string;
  readonly #files: StateFiles;

  constructor(stateDir: string, files: StateFiles = diskFiles) {
    this.#volumes = join(stateDir, 'volumes');
    this.#files = files;
  }

  load(pool: string, volume: string): Loaded {
    const loaded = this.#read(this.#folder(pool, volume));
    if (loaded.kind !== 'paired' || (loaded.state.pool === pool && loaded.state.volume === volume)) return loaded;
    return { kind: 'damaged', reason: `pairing.json is that of ${loaded.state.volume} in pool ${loaded.state.pool}` };
  }

  /** The state; a blank one if there is none or it is damaged. */
  stateOf(pool: string, volume: string): PairingState {
    const loaded = this.load(pool, volume);
    return loaded.kind === 'paired' ? loaded.state : unpaired(pool, volume);
  }

  list(): Known[] {
    return this.#files
      .list(this.#volumes)
      .filter((folder) => FOLDER_NAME.test(folder))
      .sort()
      .flatMap((folder): Known[] => {
        const loaded = this.#read(join(this.#volumes, folder));
        return loaded.kind === 'none' ? [] : [{ ...loaded, folder }];
      });
  }

  /** Makes the state the current one, then removes the files that it does not name. A blank state leaves no files. */
  async save(state: PairingState): Promise<void> {
    const folder = this.#folder(state.pool, state.volume);
    const path = join(folder, PAIRING);
    if (!isBlank(state)) {
      this.#files.makeFolder(folder);
      await this.#files.write(path, encode(pairingState.parse({ ...state, generation: state.generation + 1 })));
    } else if (this.#files.read(path) !== undefined) this.#files.remove(path);
    this.#clean(folder, namedFiles(state));
  }

  /** The same state under another volume's name. A crash may leave it under both. */
  async rename(state: PairingState, volume: string): Promise<void> {
    await this.move(state, { ...state, volume });
  }

  /** The same state of another volume or pool. A crash may leave it in both. */
  async move(state: PairingState, moved: PairingState): Promise<void> {
    const folder = this.#folder(moved.pool, moved.volume);
    this.#files.makeFolder(folder);
    for (const file of namedFiles(state)) {
      const content = this.#files.read(join(this.#folder(state.pool, state.volume), file));
      if (content !== undefined) await this.#files.write(join(folder, file), content);
    }
    await this.save(moved);
    await this.save(unpaired(state.pool, state.volume));
  }

  /** Removes files that no state names: a power cut may bring back removed files, or prevent a first save. */
  removeStrays(): void {
    for (const name of this.#files.list(this.#volumes).filter((each) => FOLDER_NAME.test(each))) {
      const folder = join(this.#volumes, name);
      const loaded = this.#read(folder);
      if (loaded.kind !== 'damaged') this.#clean(folder, loaded.kind === 'paired' ? namedFiles(loaded.state) : []);
    }
  }

  /** Makes the map durable; no state names it before a `save`. */
  async writeMap(state: PairingState, ids: FileIds, map: DeltaMap): Promise<MapRef> {
    const ref = await this.#writeFile(state, ids, 'map', encodeDeltaMap(map));
    const { archive, pairing } = ids;
    return { archive, pairing, ...ref, generation: state.generation + 1, changedChunks: map.count(map.largest) };
  }

  readMap(state: PairingState, ref: MapRef): Stored<DeltaMap> {
    const file = this.#readFile(state, ref);
    if (file.kind === 'damaged') return file;
    const map = decodeDeltaMap(file.value);
    return 'damaged' in map ? { kind: 'damaged', reason: map.damaged } : { kind: 'intact', value: map };
  }

  /** Makes the page hashes of a send durable; no state names them before a `save`. */
  async writePages(state: PairingState, ids: FileIds, hashes: Uint8Array): Promise<FileRef> {
    return await this.#writeFile(state, ids, 'pages', hashes);
  }

  readPages(state: PairingState, ref: FileRef): Stored<Uint8Array> {
    return this.#readFile(state, ref);
  }

  #folder(pool: string, volume: string): string {
    return join(this.#volumes, hash('sha256', `${pool}\0${volume}`, 'hex').slice(0, 32));
  }

  #read(folder: string): Loaded {
    const content = this.#files.read(join(folder, PAIRING));
    return content === undefined ? { kind: 'none' } : decode(Buffer.from(content).toString());
  }

  /** Writes a file under a name that no saved state has: it has the number of the next save. */
  async #writeFile(state: PairingState, ids: FileIds, kind: 'map' | 'pages', content: Uint8Array): Promise<FileRef> {
    const folder = this.#folder(state.pool, state.volume);
    const file = `${ids.archive}-${ids.pairing}-${state.generation + 1}.${kind}`;
    this.#files.makeFolder(folder);
    await this.#files.write(join(folder, file), content);
    return { file, hash: digest(content).toString('hex') };
  }

  #readFile(state: PairingState, ref: FileRef): Stored<Uint8Array> {
    const content = this.#files.read(join(this.#folder(state.pool, state.volume), ref.file));
    if (content === undefined) return { kind: 'damaged', reason: `${ref.file} is missing` };
    if (digest(content).toString('hex') !== ref.hash)
      return { kind: 'damaged', reason: `${ref.file} is not the recorded one` };
    return { kind: 'intact', value: content };
  }

  /** Files that remain cost only space, until the next save. */
  #clean(folder: string, named: readonly string[]): void {
    try {
      const names = this.#files.list(folder);
      const ours = names.filter(
        (name) => name === `${PAIRING}.new` || STATE_FILE_NAME.test(name.replace(/\.new$/, '')),
      );
      for (const name of ours) if (!named.includes(name)) this.#files.discard(join(folder, name));
      if (!names.includes(PAIRING)) this.#files.removeFolder(folder);
    } catch {
      // Ignored: the state itself is saved.
    }
  }
}

function encode(state: PairingState): string {
  return `${JSON.stringify({ check: checkOf(state), state })}\n`;
}

/** The checksum is needed because a flipped digit in an id or a size would still parse. */
function checkOf(state: unknown): string {
  return digest(Buffer.from(JSON.stringify(state))).toString('hex');
}

function decode(text: string): Loaded {
  let parsed: z.infer<typeof envelope>;
  try {
    parsed = envelope.parse(JSON.parse(text));
  } catch {
    return { kind: 'damaged', reason: 'pairing.json is not readable' };
  }
  if (parsed.check !== checkOf(parsed.state))
    return { kind: 'damaged', reason: 'the checksum of pairing.json is wrong' };
  const version = versioned.safeParse(parsed.state).data?.v ?? 0;
  if (version > 1) {
    throw new SparsebakError('failed', `the state of a volume was written by a newer sparsebak (version ${version})`, {
      hint: 'Use the newer sparsebak in dom0.',
    });
  }
  const state = pairingState.safeParse(parsed.state);
  if (!state.success) return { kind: 'damaged', reason: `pairing.json: ${z.prettifyError(state.error)}` };
  return { kind: 'paired', state: state.data };
}
