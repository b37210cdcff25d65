/**
 * Where volumes come from. One implementation per kind of pool (lvm-thin, reflink, file), one conformance suite for
 * all.
 *
 * A snapshot is a frozen copy that stays the same until it is removed; a source that cannot freeze (`file`) has
 * `frozen: false`, and its `close` fails if the content changed meanwhile.
 */
import type { SparsebakError } from '../../shared/errors.ts';
import type { NewVolume, Target } from './target.ts';

/** `[offset, offset + length)` in bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export type RunningState = 'stopped' | 'running';

/**
 * Identifies a snapshot permanently: enough to find it after a restart and to distinguish it from another of the same
 * name (file system UUID and inode; LV UUID, thin id and pool UUID). Stored in pairing.json as it is.
 */
export interface SnapshotRef {
  /** 128 random bits, hexadecimal: unique. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Bytes. */
  readonly size: number;
  readonly state: RunningState;
  /** Owner and mode of the file, as `ownershipOf` writes them, if the source knows them. */
  readonly ownership?: string | undefined;
  /** For the source only: paths, UUIDs. Flat. */
  readonly binding: Readonly<Record<string, string | number>>;
}

/** Two snapshots of one volume. */
export interface SnapshotPair {
  readonly older: SnapshotRef;
  readonly newer: SnapshotRef;
}

/** The difference of two snapshots of a volume: a superset of the bytes that differ, or why there is none. */
export type Delta =
  | {
      readonly kind: 'ranges';
      readonly ranges: readonly ByteRange[];
      /** Bytes compared as changed. */ readonly bytes: number;
    }
  | { readonly kind: 'unknown'; readonly reason: string };

/** The parts of a snapshot that may contain anything but zeros. */
export type Mapped = { readonly kind: 'ranges'; readonly ranges: readonly ByteRange[] } | { readonly kind: 'all' };

/** A snapshot made readable. */
export interface OpenSnapshot {
  /** A file or block device; each worker opens it by itself. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Ends the reading (deactivates a device). Throws `source` if the content may have changed while it was open. */
  close(): Promise<void>;
}

/** A per-volume result: one volume's failure does not stop the others. */
export type Outcome<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: SparsebakError };

/** A match of a pattern that cannot be used as a volume: always reported. */
export interface LeftOut {
  /** The name as for a volume; escaped if it is not UTF-8. */
  readonly name: string;
  /** For display: what it is, and what to do about it if possible. */
  readonly reason: string;
  /** What to do about it, if not to move or exclude it. */
  readonly hint?: string;
}

/** A pool's matches for some patterns. Each name is in at most one of the two lists. */
export interface FoundVolumes {
  /** Sorted. */
  readonly volumes: readonly string[];
  /** Sorted by name. */
  readonly leftOut: readonly LeftOut[];
}

/** How a source reads the configuration's patterns, where they are not globs of volume names. */
export interface PatternRules {
  /** Whether the pattern selects a volume of this name, as far as `list` has found out. */
  matches(pattern: string, volume: string): boolean;
  /** Those of the patterns that select nothing, by the last `list`. */
  unmatched(patterns: readonly string[]): readonly string[];
}

export interface Source {
  readonly kind: 'lvm-thin' | 'reflink' | 'file' | 'qubes' | 'documents';
  /** Whether snapshots are frozen and can serve as previous snapshots. */
  readonly frozen: boolean;

  /** Undefined: patterns are globs of volume names. */
  readonly patterns?: PatternRules;

  /**
   * Where a volume's content is, the same for each name that sources give it: two volumes of one place are one volume.
   * Undefined: not known.
   */
  place?(volume: string): string | undefined;

  /** The existing volumes that match any glob (or are named in full), without those that an exclude matches. */
  list(patterns: readonly string[], excludes: readonly string[]): Promise<FoundVolumes>;

  /**
   * Snapshots of several volumes, as close in time as the source can make them. Durable when it returns.
   * @param volumes names as `list` returns them
   */
  snapshot(volumes: readonly string[]): Promise<Map<string, Outcome<SnapshotRef>>>;

  /** What the last `snapshot` could not take of volumes that it did capture. Undefined: it takes all or nothing. */
  readonly incomplete?: readonly LeftOut[];

  /** Whether this very snapshot (not one of the same name) still exists. */
  exists(snapshot: SnapshotRef): Promise<boolean>;

  /**
   * The changes between two snapshots, up to the end of the shorter one: the caller must treat everything beyond the
   * older one's end as changed (a thin volume that shrinks and grows again has its old bytes back, in mappings that
   * never changed). Never throws for output that it does not understand, but returns `unknown`.
   */
  delta(older: SnapshotRef, newer: SnapshotRef): Promise<Delta>;

  /**
   * The deltas of several pairs, in their order, if that costs less than one after another. Also checks that each pair
   * exists. Undefined for a pair for which `exists` and `delta` must be called. Throws if nothing is known at the
   * moment; `unknown` is permanent.
   */
  deltas?(pairs: readonly SnapshotPair[]): AsyncIterable<Delta | undefined>;

  /** The volumes whose qube is running now and writes elsewhere until it stops. */
  running?(volumes: readonly string[]): Promise<ReadonlySet<string>>;

  /** Whether the pool has room for more snapshots. `snapshot` throws if it has none. */
  hasRoom?(): Promise<boolean>;

  mapped(snapshot: SnapshotRef): Promise<Mapped>;

  /** Roughly the bytes that it takes up, found quickly: the cost of reading it in full. Undefined if not known. */
  occupied?(snapshot: SnapshotRef): Promise<number | undefined>;

  open(snapshot: SnapshotRef): Promise<OpenSnapshot>;

  /** Removes snapshots; a missing one is not an error. Never removes anything that sparsebak did not make. */
  remove(snapshots: readonly SnapshotRef[]): Promise<void>;

  /** A volume to restore to: it gets this name when it is finished, or does not exist at all. */
  newVolume(volume: NewVolume): Promise<Target>;

  /** All snapshots of sparsebak's in the pool, for finding those that a killed run left. */
  leftovers(): Promise<SnapshotRef[]>;
}
