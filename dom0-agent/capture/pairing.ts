/**
 * The state of one volume in dom0: the snapshot that its delta maps reach up to, the head that each map is relative to,
 * and the sends whose outcome is not known yet.
 *
 * `tick` is the previous snapshot: the one that all maps reach up to. `tock` is the current snapshot, which a monitor
 * run or send has just made; it becomes the tick. (After the two phases of a clock's step; docs/architecture.md has the
 * glossary.)
 *
 * A map says: "between the head with my pairing id and the tick, nothing but my chunks changed". That is true for these
 * two only, so both are recorded by ids that no other head or snapshot has.
 */
import { isChunkSize, MAX_VOLUME_SIZE } from '../../shared/archive/address.ts';
import {
  isId,
  isSessionName,
  type ArchiveId,
  type PairingId,
  type SessionName,
  type VolumeId,
} from '../../shared/archive/names.ts';
import * as z from '../../shared/zod.ts';
import type { SnapshotRef } from '../source/source.ts';
import { rollingState } from './sample.ts';

const uint = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
const id = z.string().check(z.refine(isId, 'not an id'));
const archive = z.custom<ArchiveId>((value) => typeof value === 'string' && isId(value), 'not an id');
const pairing = z.custom<PairingId>((value) => typeof value === 'string' && isId(value), 'not an id');
const volumeId = z.custom<VolumeId>((value) => typeof value === 'string' && isId(value), 'not an id');
const session = z.custom<SessionName>(
  (value) => typeof value === 'string' && isSessionName(value),
  'not a session name',
);
const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const size = uint.check(z.maximum(MAX_VOLUME_SIZE));

/** A file beside pairing.json, named by its ids and its generation. */
export const STATE_FILE_NAME = /^[0-9a-f]{32}-[0-9a-f]{32}-[0-9]{1,16}\.(map|pages)$/;

const storedFile = { file: z.string().check(z.regex(STATE_FILE_NAME)), hash };

const snapshotRef = z.strictObject({
  id,
  time: uint,
  size,
  state: z.enum(['stopped', 'running']),
  ownership: z.optional(z.string()),
  binding: z.record(z.string(), z.union([z.string(), z.number()])),
});

const mapRef = z.strictObject({
  archive,
  /** Pairing id of the head that the map is relative to. */
  pairing,
  ...storedFile,
  generation: uint,
  /** Number of marked chunks, for display. */
  changedChunks: uint,
});

const checkpoint = z.strictObject({
  /** Everything below is durable at the receiver. A range boundary. */
  address: size,
  /** The count up to this address, which enters the head. */
  changedBytes: uint,
  compared: z.boolean(),
});

const progress = z.strictObject({
  /** The hashes of all pages below the last checkpoint's address. */
  ...storedFile,
  /** Rising; the receiver may have reached any of these. */
  checkpoints: z.array(checkpoint).check(z.minLength(1), z.maxLength(32)),
});

const base = z.strictObject({ pairing, session, head: hash });

const pending = z.strictObject({
  archive,
  /** The new head's. */
  pairing,
  /** The snapshot that is being sent; null after it was given up. */
  tock: z.nullable(snapshotRef),
  chunkSize: uint.check(z.refine(isChunkSize, 'not a chunk size')),
  /** The head that this send is made over. */
  base: z.nullable(base),
  /** Fields of the head that were decided before the first byte was sent. */
  volumeId,
  name: z.string(),
  session,
  sequence: uint,
  time: uint,
  progress: z.nullable(progress),
  /** `committed`: the receiver has it, the catalogue that lists it is not pinned yet. */
  outcome: z.enum(['unknown', 'committed']),
});

export const pairingState = z
  .strictObject({
    v: z.literal(1),
    pool: z.string(),
    volume: z.string(),
    /** Counts the times that the state was saved: files carry the number of the save that first named them. */
    generation: uint,
    /** The previous snapshot, which every map reaches up to; not null exactly if there are maps. */
    tick: z.nullable(snapshotRef),
    maps: z.array(mapRef),
    pending: z.array(pending),
    /** How far the rolling re-read has come, by archive. */
    rolling: z.record(z.string().check(z.refine(isId)), rollingState),
    /** When the volume was first found missing; null while it exists. */
    missingSince: z.nullable(uint),
  })
  .check(
    z.refine((state) => (state.tick !== null) === state.maps.length > 0, 'a tick without maps, or maps without a tick'),
    z.refine((state) => distinct(state.maps.map((map) => `${map.archive} ${map.pairing}`)), 'two maps of one pairing'),
    z.refine((state) => distinct(state.pending.map((entry) => entry.archive)), 'two unfinished sends to one archive'),
  );

export type PairingState = z.infer<typeof pairingState>;
export type MapRef = z.infer<typeof mapRef>;
export type Pending = z.infer<typeof pending>;
export type Base = z.infer<typeof base>;
export type Checkpoint = z.infer<typeof checkpoint>;

function distinct(keys: readonly string[]): boolean {
  return new Set(keys).size === keys.length;
}

export function unpaired(pool: string, volume: string): PairingState {
  return { v: 1, pool, volume, generation: 0, tick: null, maps: [], pending: [], rolling: {}, missingSince: null };
}

/** The state, without its tick if no map needs one. */
export function settledTick(state: PairingState): PairingState {
  return state.maps.length === 0 ? { ...state, tick: null } : state;
}

/** The snapshots that the state names: these must be kept. */
export function namedSnapshots(state: PairingState): SnapshotRef[] {
  const snapshots = state.pending.flatMap((entry) => (entry.tock === null ? [] : [entry.tock]));
  return state.tick === null ? snapshots : [state.tick, ...snapshots];
}

/** Those of `before` that `after` no longer names. */
export function releasedSnapshots(before: PairingState, after: PairingState): SnapshotRef[] {
  const named = new Set(namedSnapshots(after).map((snapshot) => snapshot.id));
  return namedSnapshots(before).filter((snapshot) => {
    const gone = !named.has(snapshot.id);
    named.add(snapshot.id);
    return gone;
  });
}

/** True if the state is empty and needs no file. */
export function isBlank(state: PairingState): boolean {
  return state.maps.length === 0 && state.pending.length === 0;
}

/** Files beside pairing.json that the state names. */
export function namedFiles(state: PairingState): string[] {
  const progress = state.pending.flatMap((entry) => (entry.progress === null ? [] : [entry.progress.file]));
  return [...state.maps.map((map) => map.file), ...progress];
}
