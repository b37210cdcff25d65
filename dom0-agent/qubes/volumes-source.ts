/**
 * All volumes of the selected qubes, in whichever pools of Qubes they are: `work:private` is read from the pool that
 * qubesd names for it. A snapshot's binding has the name of that pool, so that later runs find it again.
 */
import { asSparsebakError, SparsebakError } from '../../shared/errors.ts';
import type {
  Delta,
  FoundVolumes,
  LeftOut,
  Mapped,
  OpenSnapshot,
  Outcome,
  PatternRules,
  SnapshotPair,
  SnapshotRef,
  Source,
} from '../source/source.ts';
import type { NewVolume, Target } from '../source/target.ts';
import { archiveName, parseArchiveName, SETTINGS, UNFINISHED } from './names.ts';
import { selectsQube } from './patterns.ts';
import type { KnownQube, PlacedVolume, QubesHost } from './qubes-host.ts';
import type { Storage } from './storage.ts';

/** The pairs of one pool, with their positions among all. */
interface PairsOfStorage {
  readonly storage: Storage;
  readonly pairs: { readonly pair: SnapshotPair; readonly at: number }[];
}

export class QubeVolumesSource implements Source {
  readonly kind = 'qubes';
  readonly frozen = true;
  readonly host: QubesHost;
  #places = new Map<string, PlacedVolume>();

  constructor(host: QubesHost) {
    this.host = host;
  }

  readonly patterns: PatternRules = {
    matches: (pattern, volume) => matchesVolume(this.host, pattern, volume, (each) => each !== SETTINGS),
    // Those are told by the source of settings, which every qube has.
    unmatched: () => [],
  };

  async list(patterns: readonly string[], excludes: readonly string[]): Promise<FoundVolumes> {
    const named = new Set(patterns.filter((pattern) => pattern.includes(':')));
    const selected = await this.host.selected(
      patterns.filter((pattern) => !named.has(pattern)),
      excludes,
    );
    const qubes = new Set(selected.map(({ name }) => name));
    const known: ReadonlyMap<string, KnownQube> = this.host.known ?? new Map();
    const owners = [...named].map((name) => parseArchiveName(name)?.qube).filter((name) => name !== undefined);
    const volumes: string[] = [];
    const leftOut: LeftOut[] = [];
    const places = new Map(this.#places);
    const look = async (qube: string): Promise<void> => {
      for (const volume of await this.host.savedVolumes(qube)) {
        const name = archiveName(qube, volume.name);
        if (!qubes.has(qube) && !named.has(name)) continue;
        if (known.get(qube)?.unfinished === true) {
          leftOut.push({ name, ...UNFINISHED });
          continue;
        }
        try {
          places.set(name, await this.host.place(volume));
          volumes.push(name);
        } catch (error) {
          leftOut.push({ name, reason: asSparsebakError(error, 'source').message });
        }
      }
    };
    await Promise.all([...new Set([...qubes, ...owners])].filter((name) => known.has(name)).map(look));
    this.#places = places;
    return { volumes: volumes.sort(), leftOut: leftOut.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  }

  /** Where a volume is that `list` found. */
  place(volume: string): string | undefined {
    const placed = this.#places.get(volume);
    return placed === undefined ? undefined : placed.storage.source.place?.(placed.inner);
  }

  async #placeOf(volume: string): Promise<PlacedVolume> {
    if (!this.#places.has(volume)) await this.list([volume], []);
    const place = this.#places.get(volume);
    if (place !== undefined) return place;
    throw new SparsebakError('not-found', `${volume}: no qube here has this volume`, {
      hint: 'A qube that is gone is brought back by "sparsebak qube restore".',
    });
  }

  async snapshot(volumes: readonly string[]): Promise<Map<string, Outcome<SnapshotRef>>> {
    const outcomes = new Map<string, Outcome<SnapshotRef>>();
    const fail = (names: readonly string[], caught: unknown): void => {
      const error = asSparsebakError(caught, 'source');
      for (const name of names) outcomes.set(name, { ok: false, error });
    };
    const byStorage = new Map<Storage, { readonly name: string; readonly inner: string }[]>();
    for (const name of volumes) {
      try {
        const { storage, inner } = await this.#placeOf(name);
        byStorage.set(storage, [...(byStorage.get(storage) ?? []), { name, inner }]);
      } catch (error) {
        fail([name], error);
      }
    }
    // All pools at once: the moments of their snapshots differ as little as possible.
    await Promise.all(
      [...byStorage].map(async ([storage, members]) => {
        try {
          const made = await storage.source.snapshot(members.map(({ inner }) => inner));
          for (const { name, inner } of members) outcomes.set(name, inStorage(name, made.get(inner), storage));
        } catch (error) {
          fail(
            members.map(({ name }) => name),
            error,
          );
        }
      }),
    );
    return outcomes;
  }

  async exists(snapshot: SnapshotRef): Promise<boolean> {
    return await (await this.#sourceOf(snapshot)).exists(snapshot);
  }

  async delta(older: SnapshotRef, newer: SnapshotRef): Promise<Delta> {
    if (older.binding.storage !== newer.binding.storage) {
      return { kind: 'unknown', reason: 'the volume was moved to another pool of Qubes' };
    }
    return await (await this.#sourceOf(newer)).delta(older, newer);
  }

  async *deltas(pairs: readonly SnapshotPair[]): AsyncGenerator<Delta | undefined, void, undefined> {
    const groups = await this.#byStorage(pairs);
    const [only] = groups.values();
    if (groups.size === 1 && only?.pairs.length === pairs.length && only.storage.source.deltas !== undefined) {
      yield* only.storage.source.deltas(pairs);
      return;
    }
    const found = new Map<number, Delta | undefined>();
    for (const { storage, pairs: members } of groups.values()) {
      const deltas = storage.source.deltas?.(members.map(({ pair }) => pair));
      let at = 0;
      if (deltas !== undefined) for await (const delta of deltas) found.set(members[at++]?.at ?? -1, delta);
    }
    // Those of no group are compared one by one, which says why they cannot be.
    for (const [at] of pairs.entries()) yield found.get(at);
  }

  async #byStorage(pairs: readonly SnapshotPair[]): Promise<ReadonlyMap<string, PairsOfStorage>> {
    const groups = new Map<string, PairsOfStorage>();
    for (const [at, pair] of pairs.entries()) {
      const name = String(pair.newer.binding.storage);
      if (pair.older.binding.storage !== pair.newer.binding.storage) continue;
      const group = groups.get(name) ?? { storage: await this.host.storage(name), pairs: [] };
      group.pairs.push({ pair, at });
      groups.set(name, group);
    }
    return groups;
  }

  async running(volumes: readonly string[]): Promise<ReadonlySet<string>> {
    const running = new Set<string>();
    for (const name of volumes) {
      const { storage, inner } = await this.#placeOf(name);
      if ((await storage.source.running?.([inner]))?.has(inner) === true) running.add(name);
    }
    return running;
  }

  async hasRoom(): Promise<boolean> {
    const storages = new Set([...this.#places.values()].map(({ storage }) => storage));
    for (const { source } of storages) if ((await source.hasRoom?.()) === false) return false;
    return true;
  }

  async mapped(snapshot: SnapshotRef): Promise<Mapped> {
    return await (await this.#sourceOf(snapshot)).mapped(snapshot);
  }

  async occupied(snapshot: SnapshotRef): Promise<number | undefined> {
    return await (await this.#sourceOf(snapshot)).occupied?.(snapshot);
  }

  async open(snapshot: SnapshotRef): Promise<OpenSnapshot> {
    return await (await this.#sourceOf(snapshot)).open(snapshot);
  }

  async remove(snapshots: readonly SnapshotRef[]): Promise<void> {
    for (const pool of new Set(snapshots.map(({ binding }) => binding.storage))) {
      const { source } = await this.host.storage(String(pool));
      await source.remove(snapshots.filter(({ binding }) => binding.storage === pool));
    }
  }

  async newVolume(volume: NewVolume): Promise<Target> {
    const { storage, inner } = await this.#placeOf(volume.name);
    const archived = volume.archived === volume.name ? inner : volume.archived;
    return await storage.source.newVolume({ ...volume, name: inner, archived });
  }

  async leftovers(): Promise<SnapshotRef[]> {
    const storages = await this.host.storages();
    const found = await Promise.all(
      storages.map(async (storage) => (await storage.source.leftovers()).map((each) => bound(each, storage))),
    );
    return found.flat();
  }

  async #sourceOf({ binding }: SnapshotRef): Promise<Source> {
    return (await this.host.storage(String(binding.storage))).source;
  }
}

/**
 * Whether a pattern of the configuration selects a volume by its name. If qubesd has not answered, `@…` is taken to
 * select everything: it is asked then only to name what failed.
 */
export function matchesVolume(
  { known }: QubesHost,
  pattern: string,
  name: string,
  isMine: (volume: string) => boolean,
): boolean {
  const parsed = parseArchiveName(name);
  if (parsed === undefined || !isMine(parsed.volume) || parsed.qube === 'dom0') return false;
  if (known === undefined) return selectsQube(pattern, { name: parsed.qube, included: true, fleeting: false });
  const qube = known.get(parsed.qube);
  return qube !== undefined && selectsQube(pattern, qube);
}

function inStorage(name: string, made: Outcome<SnapshotRef> | undefined, storage: Storage): Outcome<SnapshotRef> {
  if (made?.ok === true) return { ok: true, value: bound(made.value, storage) };
  if (made !== undefined) return made;
  return { ok: false, error: new SparsebakError('source', `${name}: no snapshot was made`) };
}

function bound(snapshot: SnapshotRef, { pool }: Storage): SnapshotRef {
  return { ...snapshot, binding: { ...snapshot.binding, storage: pool } };
}
