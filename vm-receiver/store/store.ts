/**
 * The interface for storing archives. It does not mention folders, file names or renames: each layout decides on these.
 * Every implementation runs the same conformance suite.
 *
 * All methods throw `Refusal` and nothing else. Besides its documented errors, any may throw `io` (the system failed),
 * `no-space`, `locked` (another process holds a lock, and the wait is over), and those that write `unsupported` (only a
 * newer receiver may write this archive).
 */
import type { Refusal } from './refusal.ts';
import type { ArchiveId, ArchiveName, PairingId, SessionName, VolumeId } from '../../shared/archive/names.ts';

export interface Slot {
  readonly name: string;
  readonly data: Uint8Array;
}

export interface NewArchive {
  readonly name: ArchiveName;
  readonly id: ArchiveId;
  /** Bytes. */
  readonly chunkSize: number;
  readonly encrypted: boolean;
  readonly dedup: boolean;
  readonly slots: readonly Slot[];
  readonly catalogue: Uint8Array;
}

/** How long to wait for a lock. The wait also ends when the signal fires, because the agent is gone. */
export interface Patience {
  readonly seconds: number;
  readonly signal: AbortSignal;
}

export interface Store {
  /**
   * Creates an archive atomically and durably. Succeeds again for the same id and the same content.
   * @throws Refusal `exists` if there is another archive of the name, or the same one has changed since; `bad-request`
   * for a malformed slot or catalogue
   */
  create(archive: NewArchive, patience: Patience): Promise<void>;

  /** @throws Refusal `not-found`; `unsupported` when only a newer receiver can read it */
  open(name: ArchiveName, patience: Patience): Promise<ArchiveStore>;

  /** Names of the existing archives, sorted. */
  archives(): ArchiveName[];
}

/** Called for something that is lost, damaged or unreadable, with its name and the reason. */
export type OnLost<Name> = (name: Name, why: Refusal) => void;

export interface SessionSummary {
  readonly session: SessionName;
  /** The volume's size in bytes. This and the counts below are the receiver's own records: 0 if those are lost. */
  readonly sizeBytes: number;
  /** Bytes of chunks, pages, index and head. */
  readonly storedBytes: number;
  /** Number of chunks, including those of zeros. */
  readonly files: number;
  readonly zeros: number;
  /** When it was committed, by the receiver's clock, in milliseconds since 1970; undefined if not recorded. */
  readonly committed: number | undefined;
  /** Whether it is protected from being pruned. */
  readonly protected: boolean;
}

export interface VolumeSummary {
  readonly volume: VolumeId;
  /** Only in a plain archive. */
  readonly name: string | undefined;
  /** Oldest first, at least one. */
  readonly sessions: readonly SessionSummary[];
}

/**
 * `missing`: has a checksum, but does not exist. `corrupt`: not the bytes that were stored. `unlisted`: exists, but has
 * no checksum.
 */
export type DamageKind = 'missing' | 'corrupt' | 'unreadable' | 'unlisted';

export interface Damage {
  /** Where, within the archive. */
  readonly place: string;
  readonly kind: DamageKind;
}

export interface CheckWatcher {
  damage(damage: Damage): void;
  /** After each file. */
  file(bytes: number): void;
}

/** The space that a session, or the rest of a volume, takes up. */
export interface Usage {
  readonly files: number;
  /** The sum of the files' lengths. */
  readonly bytes: number;
  /** Space on the disk: of files that are not shared, and of shared ones. */
  readonly diskBytes: number;
  readonly sharedBytes: number;
}

export interface SharedUsage {
  /** Space of the shared files, each counted once. */
  readonly diskBytes: number;
  /** Additional space that they would take if not shared. */
  readonly savedBytes: number;
}

/** What to read, and for how long. */
export interface ScrubRequest {
  /** The system's time, in ms since 1970. */
  readonly now: number;
  /** Files that were read since then are skipped. */
  readonly before: number;
  /** Called repeatedly: whether to continue. */
  readonly more: () => boolean;
  /** Awaited after each file. */
  readonly file: (bytes: number) => Promise<void>;
  /** Whether files without a checksum get one from their current content. */
  readonly renewChecksums?: boolean;
}

/** A damaged file, and the sessions that cannot be restored completely because of it. */
export interface VolumeDamage {
  readonly volume: VolumeId;
  /** Its place within the volume; empty for the whole volume. */
  readonly place: string;
  readonly kind: DamageKind;
  /** Oldest first. */
  readonly sessions: readonly SessionName[];
}

/** Damage that belongs to no volume: to the catalogue, a key slot, or a kept copy of them. */
export interface ArchiveDamage {
  /** Where, within the archive. */
  readonly place: string;
  readonly kind: DamageKind;
  /** Whether it was repaired just now. */
  readonly repaired: boolean;
  /** What was done, or what to do. */
  readonly remedy: string;
}

export type ScrubFindings = Pick<Scrubbed, 'damages' | 'since'>;

export interface Scrubbed {
  /** Damage to the archive's catalogue and key slots, including repaired damage. */
  readonly objects: readonly ArchiveDamage[];
  /** All known damage, found now or earlier. */
  readonly damages: readonly VolumeDamage[];
  /** Chunks that were damaged, and were repaired from an equal one. */
  readonly repaired: number;
  /** Files that got a checksum from their current content. */
  readonly renewed: number;
  /** Everything was read after this (ms since 1970); undefined if some files never were. */
  readonly since: number | undefined;
  /** False if the progress could not be saved: the next scrub starts over. */
  readonly remembered: boolean;
}

/** Limits on removals in the receiver's own configuration. */
export interface Rules {
  /** How many of a volume's newest sessions are never pruned, at least one. */
  readonly minKeep: number;
  readonly allowDelete: boolean;
}

/** How much of replaced and removed objects is kept, by the receiver's own configuration. */
export interface Keeping {
  /** How many of the newest catalogues, at least one. */
  readonly catalogues: number;
  /** For how many days the last catalogue of each day, and replaced or removed key slots, are kept. */
  readonly days: number;
  /** Bytes of catalogues, at most. */
  readonly bytes: number;
}

/** A kept version of a catalogue or key slot. */
export interface KeptVersion {
  /** Grows with each put in the archive. */
  readonly number: number;
  /** The slot's name; undefined for a catalogue. */
  readonly slot: string | undefined;
  /** When it was put, by the receiver's clock, in milliseconds since 1970. */
  readonly time: number;
  readonly sha256: string;
  /** 0 if only the checksum was kept. */
  readonly bytes: number;
  /** `current`: put last; `replaced` by a later one; `removed`: the slot was removed. */
  readonly standing: 'current' | 'replaced' | 'removed';
  /**
   * When a replaced or removed slot expires, in milliseconds since 1970. Undefined for versions that are kept until
   * newer ones replace them.
   */
  readonly until: number | undefined;
}

export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Undefined if the file system has no fixed number of them. */
  readonly freeInodes: number | undefined;
}

/** Damaged or missing parts of a volume's newest session; both lists rise, and are limited by the protocol's limit. */
export interface DamagedParts {
  readonly addresses: readonly number[];
  readonly pages: readonly number[];
}

/** The result of deduplication. */
export interface DedupCounts {
  /** Chunks that were examined. */
  readonly chunks: number;
  /** Chunks that were linked to an equal one, and the bytes saved. */
  readonly linked: number;
  readonly savedBytes: number;
  /** Chunks that stay copies, since the file system allows no more links, or none. */
  readonly copies: number;
  readonly repaired: number;
}

/** Identifies a chunk by its address, or a page by its range's number. */
export type Part = { readonly address: number } | { readonly page: number };

export interface StoredHead {
  readonly session: SessionName;
  readonly data: Uint8Array;
}

export interface Resolution {
  readonly newest: StoredHead | undefined;
  /** Bytes. */
  readonly checkpoint: number | undefined;
}

export interface SendRequest {
  readonly volume: VolumeId;
  readonly pairing: PairingId;
  /** The base session; null if the volume has none. */
  readonly base: SessionName | null;
  readonly session: SessionName;
  /** The volume's size in bytes. */
  readonly size: number;
  readonly resume: boolean;
  readonly name: string | null;
}

/** A long object in pieces of at most 64 KiB; each is valid until the next one is requested. */
export type Pieces = Iterable<Uint8Array>;

/**
 * An open archive. A session is visible completely from its commit on, and never before. A volume at a session is the
 * overlay of it and all older ones.
 */
export interface ArchiveStore {
  readonly id: ArchiveId;
  readonly chunkSize: number;
  readonly encrypted: boolean;
  readonly dedup: boolean;
  readonly rules: Rules;

  /**
   * @param onLost called for a slot that is lost or cannot be read, which is then left out. Without it that is an error
   */
  slots(onLost?: OnLost<string>): Iterable<Slot>;
  /**
   * Durable when it returns; replaces a slot of that name, which is kept. @throws Refusal `bad-request` for a malformed
   * slot
   */
  putSlot(slot: Slot): Promise<void>;
  /** Durable when it returns; the slot need not exist. A copy of it is kept. */
  dropSlot(name: string): Promise<void>;

  /** All kept versions of catalogues and slots: catalogues first, each oldest first. */
  kept(): readonly KeptVersion[];
  /**
   * Puts a kept version back in its place, as if it was put again; durable when it returns.
   * @throws Refusal `not-found` if there is no such version; `refused` if only its checksum is kept, or there would be
   * too many slots
   */
  putBack(number: number): Promise<KeptVersion>;
  /**
   * Removes a version before it expires; durable when it returns.
   * @throws Refusal `not-found` if there is no such version; `refused` for the current one
   */
  forget(number: number): Promise<void>;

  catalogue(): Pieces;
  /**
   * Replaces the catalogue whose SHA-512/256 is given, and keeps it; durable when it returns. A lost or unreadable one
   * counts as empty. Succeeds if the new one is already in place.
   * @throws Refusal `conflict` if another catalogue is in place, `bad-request` for a malformed one; then nothing was
   * changed
   */
  putCatalogue(replaces: Uint8Array, catalogue: Uint8Array): Promise<void>;

  /**
   * Volumes that have a session, by id.
   * @param onLost called for a volume whose sessions cannot be listed; it is then left out. Without it that is an error
   */
  volumes(onLost?: OnLost<VolumeId>): Iterable<VolumeSummary>;

  /**
   * Oldest first; all of them if no sessions are named. A missing session is left out.
   * @param onLost called for a session whose head is lost or cannot be read; it is then left out. Without it that is an
   * error
   */
  heads(volume: VolumeId, sessions: readonly SessionName[], onLost?: OnLost<SessionName>): Iterable<StoredHead>;

  /** Undefined when there is no such session. */
  index(volume: VolumeId, session: SessionName): Promise<Pieces | undefined>;

  /** The newest page at or before the session; undefined when there is none, or no such session. */
  page(volume: VolumeId, session: SessionName, range: number): Promise<Pieces | undefined>;

  /**
   * The newest file of this address at or before the session, into `target` from `offset` on.
   * @returns bytes written: 0 for a chunk of zeros, undefined if there is no file
   * @throws Refusal `not-found` when there is no such session
   */
  chunk(
    volume: VolumeId,
    session: SessionName,
    address: number,
    target: Uint8Array,
    offset: number,
  ): Promise<number | undefined>;

  /**
   * The volume's newest session, made durable, and where the send `pairing` may resume. Every other unfinished send of
   * the volume is removed durably, and this one as well unless it may resume. Waits for running senders.
   */
  resolve(volume: VolumeId, pairing: PairingId, resume: boolean): Promise<Resolution>;

  /**
   * Begins a session. Unfinished sends of the volume whose sender is gone are removed, except the one to resume.
   * @throws Refusal `stale-base` when base is not the newest session; `not-found` when there is nothing to resume;
   * `bad-request` when the name is not above every session that the volume had, or the resumed send differs
   */
  begin(request: SendRequest): Promise<Send>;

  /** Space of the archive's file system. */
  space(): Space;

  /**
   * Removes a session; durable when it returns, and hidden before any of its files is touched. The content of all other
   * sessions stays the same. An interrupted removal is finished by the next change to the volume.
   * @returns bytes of removed files; undefined if there is no such session
   * @throws Refusal `refused` for one of the newest that the rules keep, and a protected one
   */
  prune(volume: VolumeId, session: SessionName): Promise<number | undefined>;

  /**
   * What `prune` would return for all these sessions together; missing ones count nothing.
   * @returns undefined when there is no such volume
   * @throws Refusal as `prune`
   */
  freed(volume: VolumeId, sessions: readonly SessionName[]): Promise<number | undefined>;

  /**
   * Stores equal chunks once if possible: bytes are compared first, and no content changes. A damaged chunk with an
   * intact equal one is repaired by that. In an encrypted archive created without deduplication no two chunks are
   * equal.
   * @param onRefused called for a volume that cannot be deduplicated; the others continue. Without it that is an error
   */
  deduplicate(onRefused?: OnLost<VolumeId>): Promise<DedupCounts>;

  /**
   * The space of a session or, without a name, of everything else in the volume. Undefined if there is no such session
   * or volume. Examines every file.
   */
  usage(volume: VolumeId, session: SessionName | undefined): Promise<Usage | undefined>;

  sharedUsage(): Promise<SharedUsage>;

  /** The space of all kept versions. */
  keptUsage(): Promise<Usage>;

  /**
   * Finishes all interrupted changes in the archive.
   * @param onRefused called for a volume that cannot be cleaned up; the others continue. Without it that is an error
   * @returns bytes of stored files that are gone
   */
  tidy(onRefused?: OnLost<VolumeId>): Promise<number>;

  /** Durable when it returns. @returns whether there is such a session */
  protect(volume: VolumeId, session: SessionName, on: boolean): Promise<boolean>;

  /**
   * Names a volume of a plain archive; durable when it returns. @returns whether there is such a volume
   * @throws Refusal `bad-request` in an encrypted archive
   */
  rename(volume: VolumeId, name: string): Promise<boolean>;

  /**
   * Removes a volume completely; durable when it returns. An interrupted removal is finished by the next one.
   * @returns bytes of stored files that are gone; 0 when there is no such volume
   * @throws Refusal `refused` when the rules forbid it, or a session is protected
   */
  delete(volume: VolumeId): Promise<number>;

  /** Known damage of the newest session, checked again now. Undefined if there is no such volume. */
  damage(volume: VolumeId): Promise<DamagedParts | undefined>;

  /**
   * Replaces a damaged or missing chunk or page of the session, for all sessions that use it. An intact one is not
   * changed. Durable when it returns; no bytes stand for a chunk of zeros.
   * @returns whether there is such a session, and a chunk or page is stored there
   */
  repair(volume: VolumeId, session: SessionName, part: Part, data: Uint8Array): Promise<boolean>;

  /**
   * Reads a volume completely and compares it with the checksums made when it was stored. Needs no key, and finds
   * corrupt and missing files; only dom0 can find a file that was replaced together with its checksum.
   */
  check(volume: VolumeId, watcher: CheckWatcher): Promise<void>;

  /** Compares the catalogue, the key slots and their kept copies with the checksums made when they were stored. */
  checkObjects(after: (bytes: number) => void): Promise<readonly ArchiveDamage[]>;

  /**
   * Reads files that were not read for long, and checks them like `check`; continues where the last run stopped. Damage
   * is remembered until it is repaired, and returned by `damage`. A catalogue or slot that is certainly damaged is
   * replaced by the last version put.
   */
  scrub(request: ScrubRequest): Promise<Scrubbed>;

  /**
   * What earlier scrubs found and is still so. Changes nothing and takes no lock.
   * @param now the system's time, in ms since 1970
   */
  scrubFindings(now: number): Promise<ScrubFindings>;

  /** Releases all locks. A running send stays unfinished, as if its sender was killed. */
  close(): Promise<void>;
}

/**
 * A session being made. Addresses and pages must rise, as specified in docs/protocol.md (otherwise `bad-request`).
 * After any method threw, only `abandon` may be called.
 */
export interface Send {
  chunk(address: number, data: Uint8Array): void;
  /** `count` chunks of zeros from `address` on. */
  zeros(address: number, count: number): Promise<void>;
  page(range: number, data: Uint8Array): void;

  /**
   * Returns when everything below `address` is durable, and a later send may resume there. More data may be added
   * meanwhile, but no other checkpoint, commit or abandon.
   */
  checkpoint(address: number): Promise<void>;

  /**
   * Makes the session: durable when it returns.
   * @throws Refusal `stale-base` when the base is no longer the newest; `conflict` when this send was removed by
   *   another
   */
  commit(head: Uint8Array, index: readonly Uint8Array[]): Promise<void>;

  /** Ends it without a session. The data is kept only with `keep`, and if there is a checkpoint. */
  abandon(keep: boolean): Promise<void>;
}
