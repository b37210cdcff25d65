/**
 * What the receiver needs of the place where archives lie. The contract says nothing of folders, names of files or
 * renames: a layout may keep all this as it likes. Every implementation runs the same conformance suite.
 *
 * All methods throw `Refusal` and nothing else. Besides what each documents, any may throw `io` (the system failed),
 * `no-space`, `locked` (another process holds what is needed, and the wait is over), and those that write
 * `unsupported` (only a newer receiver may write this archive).
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

/** How long to wait for a lock. The wait also ends when the signal fires: nobody is left to wait for it. */
export interface Patience {
  readonly seconds: number;
  readonly signal: AbortSignal;
}

export interface Store {
  /**
   * Makes an archive, whole or not at all, and durable. Succeeds again for the same id and the same content.
   * @throws Refusal `exists` when there is another archive of the name, or the same one has moved on; `bad-request` for
   *   a slot
   *   or catalogue that has not the form of one
   */
  create(archive: NewArchive, patience: Patience): Promise<void>;

  /** @throws Refusal `not-found`; `unsupported` when only a newer receiver can read it */
  open(name: ArchiveName, patience: Patience): Promise<ArchiveStore>;

  /** Names of the archives that are there, sorted. */
  archives(): ArchiveName[];
}

/** Told of something that is lost, damaged or unreadable, by its name, and why. */
export type OnLost<Name> = (name: Name, why: Refusal) => void;

export interface SessionSummary {
  readonly session: SessionName;
  /** Of the volume, in bytes. This and the counts below are the receiver's own notes: 0 where those are lost. */
  readonly sizeBytes: number;
  /** Bytes of chunks, pages, index and head. */
  readonly storedBytes: number;
  /** Chunks, those of zeros included. */
  readonly files: number;
  readonly zeros: number;
  /** When it was committed, by the receiver's clock, in milliseconds since 1970; undefined where that was not noted. */
  readonly committed: number | undefined;
  /** Whether somebody said that it must not be pruned. */
  readonly protected: boolean;
}

export interface VolumeSummary {
  readonly volume: VolumeId;
  /** Only in a plain archive. */
  readonly name: string | undefined;
  /** Oldest first, at least one. */
  readonly sessions: readonly SessionSummary[];
}

/** `missing`: listed, and not there. `different`: not the bytes that were stored. `unlisted`: there, and not listed. */
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

/** What a session, or what else a volume has, takes up. */
export interface Usage {
  readonly files: number;
  /** As the files' lengths say. */
  readonly bytes: number;
  /** As the file system says: of what nobody else has, and of what others share. */
  readonly diskBytes: number;
  readonly sharedBytes: number;
}

export interface SharedUsage {
  /** What is shared takes up so much, each counted once. */
  readonly diskBytes: number;
  /** And so much more if it were not. */
  readonly savedBytes: number;
}

/** What to read, and for how long. */
export interface ScrubRequest {
  /** On the clock of the system, in ms since 1970. */
  readonly now: number;
  /** What was read since then is left out. */
  readonly before: number;
  /** Asked again and again: whether to go on. */
  readonly more: () => boolean;
  /** Waited for behind each file. */
  readonly file: (bytes: number) => Promise<void>;
  /** Whether files that have no checksum get one from what they are now. */
  readonly renewChecksums?: boolean;
}

/** Something damaged, and the sessions that cannot be had whole for it. */
export interface VolumeDamage {
  readonly volume: VolumeId;
  /** Where, within the volume; empty for all of it. */
  readonly place: string;
  readonly kind: DamageKind;
  /** Oldest first. */
  readonly sessions: readonly SessionName[];
}

/** Something damaged that belongs to no volume: the catalogue, a key slot, or what is kept of them. */
export interface ArchiveDamage {
  /** Where, within the archive. */
  readonly place: string;
  readonly kind: DamageKind;
  /** Whether it was repaired just now. */
  readonly repaired: boolean;
  /** What was done, or what to do. */
  readonly remedy: string;
}

export interface Scrubbed {
  /** What is wrong with the archive's catalogue and key slots, and was. */
  readonly objects: readonly ArchiveDamage[];
  /** All that is known, found now or earlier. */
  readonly damages: readonly VolumeDamage[];
  /** That were damaged, and had an equal one that was not. */
  readonly repaired: number;
  /** Files that got a checksum from what they are now. */
  readonly renewed: number;
  /** Everything was read after this (ms since 1970); undefined when something never was. */
  readonly since: number | undefined;
  /** False where what was read could not be written down: the next scrub begins anew. */
  readonly remembered: boolean;
}

/** What the receiver's own configuration has above every wish to remove something. */
export interface Rules {
  /** So many of a volume's newest sessions stay, at least one. */
  readonly minKeep: number;
  readonly allowDelete: boolean;
}

/** How much is kept of what was replaced or removed, by the receiver's own configuration. */
export interface Keeping {
  /** So many of the newest catalogues, at least one. */
  readonly catalogues: number;
  /** The last catalogue of each of so many days, and key slots that were replaced or removed for so many. */
  readonly days: number;
  /** Bytes of catalogues, at most. */
  readonly bytes: number;
}

/** A catalogue or key slot as it was put. */
export interface KeptVersion {
  /** Grows with each put in the archive. */
  readonly number: number;
  /** The slot's name; undefined for a catalogue. */
  readonly slot: string | undefined;
  /** When it was put, by the receiver's clock, in milliseconds since 1970. */
  readonly time: number;
  readonly sha256: string;
  /** 0 where only the checksum was kept. */
  readonly bytes: number;
  /** `current`: put last; `replaced` by a later one; `removed`: the slot was removed. */
  readonly standing: 'current' | 'replaced' | 'removed';
  /**
   * When a slot that was replaced or removed goes, in milliseconds since 1970. Undefined for what stays until others
   * come.
   */
  readonly until: number | undefined;
}

export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Undefined where the file system has no fixed number of them. */
  readonly freeInodes: number | undefined;
}

/** What of a volume's newest session cannot be had as it was stored; both rise, and are bounded by the wire's limit. */
export interface DamagedParts {
  readonly addresses: readonly number[];
  readonly pages: readonly number[];
}

/** What deduplication came to. */
export interface DedupCounts {
  /** That were looked at. */
  readonly chunks: number;
  /** That share their bytes with another since now, and the bytes that are saved. */
  readonly linked: number;
  readonly savedBytes: number;
  /** That stay copies, since the file system allows no more links, or none. */
  readonly copies: number;
  readonly repaired: number;
}

/** Where a chunk or a page belongs: a chunk by its address, a page by its range's number. */
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
  /** The session that the new one is made over; null when the volume has none. */
  readonly base: SessionName | null;
  readonly session: SessionName;
  /** Of the volume, in bytes. */
  readonly size: number;
  readonly resume: boolean;
  readonly name: string | null;
}

/** A long object in pieces of at most 64 KiB; each holds until the next one is asked for. */
export type Pieces = Iterable<Uint8Array>;

/**
 * An open archive. A session is visible from its commit on, whole and for good; nothing else ever is. What a volume is
 * at a session is the overlay of it and all older ones.
 */
export interface ArchiveStore {
  readonly id: ArchiveId;
  readonly chunkSize: number;
  readonly encrypted: boolean;
  readonly dedup: boolean;
  readonly rules: Rules;

  /**
   * @param onLost told of a slot that is lost or cannot be read, which is left out then. Without this it is an error
   */
  slots(onLost?: OnLost<string>): Iterable<Slot>;
  /**
   * Durable when it returns; replaces a slot of that name, which is kept. @throws Refusal `bad-request` for what has
   * not the form of a slot
   */
  putSlot(slot: Slot): Promise<void>;
  /** Durable when it returns; there may be no such slot. It is kept. */
  dropSlot(name: string): Promise<void>;

  /** What was put as slot or catalogue, and is kept: catalogues first, then slots, each oldest first. */
  kept(): readonly KeptVersion[];
  /**
   * Puts a version that is kept in its place again, as if it came anew; durable when it returns.
   * @throws Refusal `not-found` where there is no such version; `refused` where only its checksum is, or there would be
   *   too many slots
   */
  putBack(number: number): Promise<KeptVersion>;
  /**
   * Removes a version ahead of its time; durable when it returns.
   * @throws Refusal `not-found` where there is no such version; `refused` for the current one
   */
  forget(number: number): Promise<void>;

  catalogue(): Pieces;
  /**
   * Replaces the catalogue whose SHA-512/256 is given, and keeps it; durable when it returns. One that is lost, or
   * cannot be read, counts as one without bytes. Succeeds when the new one is there already.
   * @throws Refusal `conflict` when another one is there, `bad-request` for what has not the form of a catalogue;
   *   nothing changed
   */
  putCatalogue(replaces: Uint8Array, catalogue: Uint8Array): Promise<void>;

  /**
   * Volumes that have a session, by id.
   * @param onLost told of a volume whose sessions cannot be listed; it is left out then. Without this it is an error
   */
  volumes(onLost?: OnLost<VolumeId>): Iterable<VolumeSummary>;

  /**
   * Oldest first; all of them when no sessions are named. A session that is not there is left out.
   * @param onLost told of a session whose head is lost or cannot be read; it is left out then. Without this it is an
   *   error
   */
  heads(volume: VolumeId, sessions: readonly SessionName[], onLost?: OnLost<SessionName>): Iterable<StoredHead>;

  /** Undefined when there is no such session. */
  index(volume: VolumeId, session: SessionName): Promise<Pieces | undefined>;

  /** The newest page at or before the session; undefined when there is none, or no such session. */
  page(volume: VolumeId, session: SessionName, range: number): Promise<Pieces | undefined>;

  /**
   * The newest file of this address at or before the session, into `target` from `offset` on.
   * @returns bytes put there: 0 for a chunk of zeros, undefined where there is no file
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
   * The volume's newest session, made durable, and where the send named by `pairing` may go on. Every other unfinished
   * send of the volume is removed durably, this one too unless it may go on. Waits for senders that still live.
   */
  resolve(volume: VolumeId, pairing: PairingId, resume: boolean): Promise<Resolution>;

  /**
   * Begins a session. Unfinished sends of the volume whose sender is gone are removed, but for the one to resume.
   * @throws Refusal `stale-base` when base is not the newest session; `not-found` when there is nothing to resume;
   *   `bad-request` when the name is not above every session that the volume had, or the resumed send was another one
   */
  begin(request: SendRequest): Promise<Send>;

  /** Of the file system that the archive lies on. */
  space(): Space;

  /**
   * Takes a session away; durable when it returns, and gone from sight before anything of it is touched. What any other
   * session is stays the same. One that was cut off is finished by the next change to the volume.
   * @returns bytes of stored files that are gone; undefined when there is no such session
   * @throws Refusal `refused` for one of the newest that the rules keep, and a protected one
   */
  prune(volume: VolumeId, session: SessionName): Promise<number | undefined>;

  /**
   * What `prune` of all these sessions would give together; those that are not there count nothing.
   * @returns undefined when there is no such volume
   * @throws Refusal as `prune`
   */
  freed(volume: VolumeId, sessions: readonly SessionName[]): Promise<number | undefined>;

  /**
   * Stores equal chunks once where it can: bytes are compared first, and no content changes. What is damaged of one and
   * sound of another is repaired by that. Of an encrypted archive that was made without deduplication no two are equal.
   * @param onRefused told of a volume that refuses; the others are deduplicated all the same. Without this it is an
   *   error
   */
  deduplicate(onRefused?: OnLost<VolumeId>): Promise<DedupCounts>;

  /**
   * What a session takes up; without a name, what the volume has besides its sessions. Undefined when there is no such
   * session or volume. Every file is looked at.
   */
  usage(volume: VolumeId, session: SessionName | undefined): Promise<Usage | undefined>;

  sharedUsage(): Promise<SharedUsage>;

  /** What all that is kept takes up. */
  keptUsage(): Promise<Usage>;

  /**
   * Finishes all that was cut off in the archive.
   * @param onRefused told of a volume that refuses; the others are tidied all the same. Without this it is an error
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
   * Takes a volume away with all that it has; durable when it returns. One that was cut off is finished by the next
   * one.
   * @returns bytes of stored files that are gone; 0 when there is no such volume
   * @throws Refusal `refused` when the rules forbid it, or a session is protected
   */
  delete(volume: VolumeId): Promise<number>;

  /** What is known to be damaged of the newest session: looked at again now. Undefined when there is no such volume. */
  damage(volume: VolumeId): Promise<DamagedParts | undefined>;

  /**
   * Puts a sound chunk or page where the session's is damaged or missing: for all sessions that have it from there.
   * Where it is sound nothing is done. Durable when it returns; no bytes stand for a chunk of zeros.
   * @returns whether there is such a session, and something is stored there
   */
  repair(volume: VolumeId, session: SessionName, part: Part, data: Uint8Array): Promise<boolean>;

  /**
   * Reads everything of a volume and compares it with the checksums that were made when it came. It needs no key, and
   * finds what rots or is lost; what is replaced together with its checksum only dom0 can find.
   */
  check(volume: VolumeId, watcher: CheckWatcher): Promise<void>;

  /**
   * Compares the catalogue, the key slots and what is kept of them with the checksums that were made when they came.
   */
  checkObjects(after: (bytes: number) => void): Promise<readonly ArchiveDamage[]>;

  /**
   * Reads what was not read for long, and compares it as `check` does; goes on where it was cut off. What it finds is
   * remembered until it is sound again, and is what `damage` tells. A catalogue or slot that is damaged for certain is
   * put back as it was put last.
   */
  scrub(request: ScrubRequest): Promise<Scrubbed>;

  /** Lets go of all locks. A send that is not over stays unfinished, as when its sender is killed. */
  close(): Promise<void>;
}

/**
 * A session being made. What comes must rise: addresses, then pages, as docs/protocol.md says (`bad-request`
 * otherwise). After any method threw, only `abandon` may be called.
 */
export interface Send {
  chunk(address: number, data: Uint8Array): void;
  /** `count` chunks of zeros from `address` on. */
  zeros(address: number, count: number): Promise<void>;
  page(range: number, data: Uint8Array): void;

  /**
   * Returns when all below `address` is durable, and a later send may resume there. More may be given meanwhile, but no
   * other checkpoint and no end.
   */
  checkpoint(address: number): Promise<void>;

  /**
   * Makes the session: durable when it returns.
   * @throws Refusal `stale-base` when the base is no longer the newest; `conflict` when this send was removed by
   *   another
   */
  commit(head: Uint8Array, index: readonly Uint8Array[]): Promise<void>;

  /** Ends it without a session. What came so far stays only with `keep`, and if there is a checkpoint. */
  abandon(keep: boolean): Promise<void>;
}
