/**
 * Where volumes come from. One implementation per kind of pool (lvm-thin, reflink, file), one conformance suite for
 * all.
 *
 * A snapshot is a frozen copy that stays the same until it is removed; a source that cannot freeze (`file`) says so
 * with `frozen: false`, and its `close` then fails when the content moved meanwhile.
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
 * What names a snapshot for good: enough to find it again after a restart and to tell it from an impostor of the same
 * name (file system UUID and inode; LV UUID, thin id and pool UUID). Stored in pairing.json as it is.
 */
export interface SnapshotRef {
  /** 128 random bits, hexadecimal: ours, unique. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Bytes. */
  readonly size: number;
  readonly state: RunningState;
  /** Whom the file belonged to, and its mode, as `ownershipOf` writes them, where the source knows it. */
  readonly ownership?: string | undefined;
  /** Known to the source only: paths, UUIDs. Flat. */
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

/** The parts of a snapshot that may hold anything but zeros. */
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

/** Something that a pattern matched, and that cannot be taken as a volume: never passed over in silence. */
export interface LeftOut {
  /** As a volume would be named; escaped where it is not UTF-8. */
  readonly name: string;
  /** For people: what it is, and what to do about it if anything can be done. */
  readonly reason: string;
}

/** What a pool has for some patterns. Each name is in one of the two at most. */
export interface FoundVolumes {
  /** Sorted. */
  readonly volumes: readonly string[];
  /** Sorted by name. */
  readonly leftOut: readonly LeftOut[];
}

export interface Source {
  readonly kind: 'lvm-thin' | 'reflink' | 'file';
  /** Whether snapshots are frozen and can serve as ticks. */
  readonly frozen: boolean;

  /**
   * The volumes that are there now and match any glob (or are named in full), without those that an exclude matches.
   */
  list(patterns: readonly string[], excludes: readonly string[]): Promise<FoundVolumes>;

  /**
   * Snapshots of several volumes, as close in time as the source can. Durable when it returns.
   * @param volumes names as `list` gives them
   */
  snapshot(volumes: readonly string[]): Promise<Map<string, Outcome<SnapshotRef>>>;

  /** Whether this very snapshot (not one of the same name) is still there. */
  exists(snapshot: SnapshotRef): Promise<boolean>;

  /**
   * What changed between two snapshots, as far as both reach: beyond the older one's end everything counts as changed
   * to whoever asks (a thin volume that shrinks and grows again has its old bytes back, in mappings that never
   * changed). Never throws for content it does not understand: `unknown` then.
   */
  delta(older: SnapshotRef, newer: SnapshotRef): Promise<Delta>;

  /**
   * The deltas of several pairs, in their order, where that costs less than one after another. Each pair is checked for
   * being there, too. Undefined for a pair that `exists` and `delta` are to be asked about. Throws where nothing can be
   * told at the moment; `unknown` is for ever.
   */
  deltas?(pairs: readonly SnapshotPair[]): AsyncIterable<Delta | undefined>;

  /** Those of these volumes whose qube runs now and writes elsewhere, until it stops. */
  running?(volumes: readonly string[]): Promise<ReadonlySet<string>>;

  /** Whether the pool has room for more snapshots. `snapshot` throws where it has not. */
  hasRoom?(): Promise<boolean>;

  mapped(snapshot: SnapshotRef): Promise<Mapped>;

  /** Bytes that it takes up, at once and about: what reading it in full comes to. Undefined where that is not known. */
  occupied?(snapshot: SnapshotRef): Promise<number | undefined>;

  open(snapshot: SnapshotRef): Promise<OpenSnapshot>;

  /** Removes snapshots; those already gone are no error. Never removes what is not ours. */
  remove(snapshots: readonly SnapshotRef[]): Promise<void>;

  /** A volume to restore to: of this name when it is finished, or not at all. */
  newVolume(volume: NewVolume): Promise<Target>;

  /** Snapshots of ours that lie in the pool, for finding those that a killed run left. */
  leftovers(): Promise<SnapshotRef[]>;
}
