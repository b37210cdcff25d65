/**
 * A pool of thin volumes in memory, on a machine that can fail: snapshots are durable when `snapshot` returns, volumes
 * change by writes, trims, resizes, reverts. It believes a snapshot's name alone where it may (`delta`, `open`):
 * telling an impostor is what `exists` is for, and the code under test must ask.
 */
import { SparsebakError } from '../../../../shared/errors.ts';
import type {
  ByteRange,
  Delta,
  FoundVolumes,
  Mapped,
  OpenSnapshot,
  Outcome,
  SnapshotRef,
  Source,
} from '../../../../dom0-agent/source/source.ts';
import { BLOCK, type Content } from './content.ts';
import type { Machine } from './machine.ts';

interface Snapshot {
  readonly ref: SnapshotRef;
  readonly content: Content;
  /** Of the device that bears the name now. */
  readonly thin: number;
}

export class ModelSource implements Source {
  readonly kind = 'lvm-thin';
  readonly frozen: boolean;
  readonly volumes = new Map<string, Content>();
  readonly snapshots = new Map<string, Snapshot>();
  /** Snapshots that the test removed or replaced behind dom0's back. */
  readonly tampered = new Set<string>();
  /** Leaves one range out of each delta, to see that the tests notice. */
  readonly #losesRange: boolean;
  readonly #machine: Machine;
  #serial = 0;
  /** One delta in so many is unknown, one in so many throws; 0: never. */
  unknownDeltas = 0;

  constructor(machine: Machine, { frozen = true, losesRange = false } = {}) {
    this.#machine = machine;
    this.frozen = frozen;
    this.#losesRange = losesRange;
  }

  async list(patterns: readonly string[]): Promise<FoundVolumes> {
    this.#machine.reading('list');
    return { volumes: [...this.volumes.keys()].filter((name) => patterns.includes(name)).sort(), leftOut: [] };
  }

  async snapshot(volumes: readonly string[]): Promise<Map<string, Outcome<SnapshotRef>>> {
    const outcomes = new Map<string, Outcome<SnapshotRef>>();
    const make = volumes.map((name) => () => {
      const content = this.volumes.get(name);
      if (content === undefined) {
        outcomes.set(name, { ok: false, error: new SparsebakError('not-found', `there is no ${name}`) });
        return;
      }
      const thin = ++this.#serial;
      const id = thin.toString(16).padStart(32, '0');
      const ref: SnapshotRef = { id, time: 1000 + thin, size: content.size, state: 'stopped', binding: { thin, name } };
      this.snapshots.set(id, { ref, content, thin });
      outcomes.set(name, { ok: true, value: ref });
    });
    this.#machine.operation('snapshot', ...make);
    return outcomes;
  }

  async exists(snapshot: SnapshotRef): Promise<boolean> {
    this.#machine.reading('exists');
    return this.snapshots.get(snapshot.id)?.thin === snapshot.binding.thin;
  }

  async delta(older: SnapshotRef, newer: SnapshotRef): Promise<Delta> {
    this.#machine.operation('delta');
    if (this.unknownDeltas > 0) {
      const luck = this.#machine.coin.int(this.unknownDeltas);
      if (luck === 0) return { kind: 'unknown', reason: 'the metadata moved' };
      if (luck === 1) throw new SparsebakError('source', 'thin_delta was killed');
    }
    const before = this.#named(older).content.blocks;
    const after = this.#named(newer).content.blocks;
    const ranges: ByteRange[] = [];
    for (let block = 0; block < Math.max(before.length, after.length); block++) {
      if ((before[block] ?? 0) !== (after[block] ?? 0)) ranges.push({ offset: block * BLOCK, length: BLOCK });
    }
    const found = this.#losesRange ? ranges.slice(1) : ranges;
    return { kind: 'ranges', ranges: found, bytes: found.length * BLOCK };
  }

  async mapped(): Promise<Mapped> {
    return { kind: 'all' };
  }

  async open(snapshot: SnapshotRef): Promise<OpenSnapshot> {
    this.#named(snapshot);
    return { path: snapshot.id, size: snapshot.size, close: () => Promise.resolve() };
  }

  /** The content behind a snapshot's name. */
  contentOf(snapshot: SnapshotRef): Content {
    return this.#named(snapshot).content;
  }

  async remove(snapshots: readonly SnapshotRef[]): Promise<void> {
    this.#machine.operation(
      'remove snapshots',
      ...snapshots.map((ref) => () => {
        if (this.snapshots.get(ref.id)?.thin === ref.binding.thin) this.snapshots.delete(ref.id);
      }),
    );
  }

  newVolume(): Promise<never> {
    return Promise.reject(new Error('nothing is restored here'));
  }

  async leftovers(): Promise<SnapshotRef[]> {
    this.#machine.reading('leftovers');
    return [...this.snapshots.values()].filter(({ ref, thin }) => ref.binding.thin === thin).map(({ ref }) => ref);
  }

  /** Another device takes the snapshot's name. */
  replaceSnapshot(id: string, content: Content): void {
    const snapshot = this.snapshots.get(id);
    if (snapshot === undefined) return;
    this.tampered.add(id);
    this.snapshots.set(id, { ref: snapshot.ref, content, thin: ++this.#serial });
  }

  removeSnapshot(id: string): void {
    this.tampered.add(id);
    this.snapshots.delete(id);
  }

  #named(snapshot: SnapshotRef): Snapshot {
    this.#machine.reading('snapshot');
    const found = this.snapshots.get(snapshot.id);
    if (found === undefined) throw new SparsebakError('source', `snapshot ${snapshot.id} is gone`);
    return found;
  }
}
