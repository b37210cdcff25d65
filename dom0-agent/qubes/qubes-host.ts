/** The qubes of this computer and their volumes, as a command last asked qubesd for them. */
import { asSparsebakError, SparsebakError } from '../../shared/errors.ts';
import { RESTORE_TAG } from './names.ts';
import { selectsQube, INCLUDED, type QubeTraits } from './patterns.ts';
import { Qubesd, type QubeEntry, type QubeVolume } from './qubesd.ts';
import { QubesdRefusal } from './socket.ts';
import { nameInPool, storageOf, type Storage, type StorageOptions } from './storage.ts';

export interface KnownQube extends QubeTraits, QubeEntry {
  /** A restore of it is not finished: what it has now is neither the old qube nor the whole of the restored one. */
  readonly unfinished: boolean;
}

/** A volume of a qube, where sparsebak can read it. */
export interface PlacedVolume {
  readonly storage: Storage;
  /** Its name in the storage's source. */
  readonly inner: string;
}

export class QubesHost {
  readonly qubesd: Qubesd;
  readonly #storageOptions: StorageOptions;
  readonly #storages = new Map<string, Promise<Storage>>();
  #known: ReadonlyMap<string, KnownQube> | undefined;

  constructor(socket: string, options: StorageOptions) {
    this.qubesd = new Qubesd(socket);
    this.#storageOptions = options;
  }

  /** By name, as last asked for; undefined: qubesd has not answered yet. */
  get known(): ReadonlyMap<string, KnownQube> | undefined {
    return this.#known;
  }

  /** Asks qubesd again. @throws SparsebakError */
  async look(): Promise<ReadonlyMap<string, KnownQube>> {
    return await asking(async () => {
      const entries = await this.qubesd.qubes();
      const qubes = await Promise.all(entries.map((entry) => this.#traits(entry)));
      this.#known = new Map(qubes.map((qube) => [qube.name, qube] as const));
      return this.#known;
    });
  }

  /** Those that any pattern and no exclude selects, sorted by name. */
  async selected(patterns: readonly string[], excludes: readonly string[]): Promise<KnownQube[]> {
    const known = await this.look();
    return [...known.values()].filter(
      (qube) =>
        patterns.some((pattern) => selectsQube(pattern, qube)) &&
        !excludes.some((pattern) => selectsQube(pattern, qube)),
    );
  }

  async #traits(entry: QubeEntry): Promise<KnownQube> {
    const isTrue = async (property: string): Promise<boolean | undefined> => {
      try {
        return (await this.qubesd.property(entry.name, property)).value === 'True';
      } catch (error) {
        // A class or a release without this property.
        if (error instanceof QubesdRefusal) return undefined;
        throw error;
      }
    };
    const included = await isTrue(INCLUDED.slice(1));
    const fleeting = entry.class === 'DispVM' && (await isTrue('auto_cleanup')) === true;
    return { ...entry, included, fleeting, unfinished: await this.#isUnfinished(entry) };
  }

  async #isUnfinished({ name }: QubeEntry): Promise<boolean> {
    try {
      return (await this.qubesd.tags(name)).includes(RESTORE_TAG);
    } catch (error) {
      if (error instanceof QubesdRefusal) return false;
      throw error;
    }
  }

  /** The volumes of a qube that Qubes saves when it stops: these and no others hold what a user would miss. */
  async savedVolumes(qube: string): Promise<QubeVolume[]> {
    const volumes = await asking(() => this.qubesd.volumes(qube));
    return volumes.filter(({ saveOnStop }) => saveOnStop);
  }

  /** @throws `source` for a pool whose volumes cannot be read */
  async place(volume: QubeVolume): Promise<PlacedVolume> {
    const storage = await this.storage(volume.pool);
    return { storage, inner: nameInPool(volume, storage) };
  }

  /** A pool of Qubes, by its name. @throws `source` */
  storage(pool: string): Promise<Storage> {
    const opened = this.#storages.get(pool);
    if (opened !== undefined) return opened;
    const opening = asking(async () => storageOf(await this.qubesd.pool(pool), this.#storageOptions));
    this.#storages.set(pool, opening);
    opening.catch(() => this.#storages.delete(pool));
    return opening;
  }

  /** All pools of Qubes that can be read. */
  async storages(): Promise<Storage[]> {
    const names = await asking(() => this.qubesd.pools());
    const opened = await Promise.all(names.map((name) => this.storage(name).catch(() => undefined)));
    return opened.filter((storage) => storage !== undefined);
  }
}

/** @throws SparsebakError: a refusal in words of ours */
export async function asking<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof QubesdRefusal ? refusalError(error) : asSparsebakError(error, 'source');
  }
}

/** A refusal in words of ours. */
export function refusalError(refusal: QubesdRefusal): SparsebakError {
  return new SparsebakError('source', `qubesd refused "${refusal.call}": ${refusal.message}`, {
    hint: 'See "journalctl -u qubesd".',
    cause: refusal,
  });
}
