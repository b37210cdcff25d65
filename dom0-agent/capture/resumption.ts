/**
 * Resumes an interrupted send. The page hashes of all finished ranges are kept beside pairing.json: the index is built
 * from what dom0 hashed itself, never from what the receiver has.
 */
import { CHUNKS_PER_RANGE } from '../../shared/archive/address.ts';
import type { PairingId } from '../../shared/archive/names.ts';
import type { Source } from '../source/source.ts';
import type { Capture } from './capture.ts';
import { conclude, pendingOf, type SendRef } from './conclude.ts';
import type { DeltaMap } from './delta-map.ts';
import type { Checkpoint, PairingState, Pending } from './pairing.ts';

const HASH = 32;
/** How many checkpoints are remembered: the receiver may have reached any of them without its answer having arrived. */
const REMEMBERED = 32;

/**
 * Records how far a send has come; durable when it returns. Must be called before the receiver is asked for the
 * checkpoint, so that dom0 knows the receiver's checkpoint whichever answer is lost.
 * @param pageHashes of every range below the address, in order, 32 bytes each
 */
export async function checkpointed(
  capture: Capture,
  send: SendRef,
  checkpoint: Checkpoint,
  pageHashes: Uint8Array,
): Promise<void> {
  await conclude(capture, send, async (state, pending) => {
    const pages = await capture.store.writePages(state, send, pageHashes);
    const earlier = (pending.progress?.checkpoints ?? []).filter(({ address }) => address < checkpoint.address);
    const progress = { ...pages, checkpoints: [...earlier, checkpoint].slice(-REMEMBERED) };
    return { ...state, pending: state.pending.map((entry) => (entry === pending ? { ...pending, progress } : entry)) };
  });
}

export type Resumption =
  | {
      readonly kind: 'resumable';
      readonly pending: Pending;
      readonly tock: NonNullable<Pending['tock']>;
      readonly checkpoint: Checkpoint;
      /** Page hashes of every range below the checkpoint. */
      readonly pageHashes: Uint8Array;
      /** The chunks that may differ from the base; null: compare in full. */
      readonly map: DeltaMap | null;
    }
  | { readonly kind: 'discard'; readonly reason: string };

/** Whether an interrupted send may be resumed at all: its snapshot still exists unchanged. */
export async function mayResume({ source }: { readonly source: Source }, pending: Pending): Promise<boolean> {
  if (!source.frozen || pending.outcome !== 'unknown' || pending.tock === null || pending.progress === null)
    return false;
  return await source.exists(pending.tock);
}

/** What the receiver has, by its own answer. */
export interface Reached {
  /** Its last checkpoint. */
  readonly address: number;
  /** The pairing id of its proven newest head; null if it has none. */
  readonly newest: PairingId | null;
}

/** What is needed to resume from the receiver's checkpoint. */
export async function resumption(capture: Capture, send: SendRef, { address, newest }: Reached): Promise<Resumption> {
  return await capture.lock.hold(async () => {
    const state = capture.store.stateOf(capture.pool, send.volume);
    const pending = pendingOf(state, send);
    const { tock, progress } = pending;
    // The map, and every chunk that is not sent, are relative to this base only.
    if ((pending.base?.pairing ?? null) !== newest) return { kind: 'discard', reason: 'another session is the newest' };
    if (tock === null || progress === null || !(await mayResume(capture, pending))) {
      return { kind: 'discard', reason: 'its snapshot no longer exists' };
    }
    const checkpoint = progress.checkpoints.find((entry) => entry.address === address);
    if (checkpoint === undefined) return { kind: 'discard', reason: 'the receiver is at an unknown checkpoint' };
    const pages = capture.store.readPages(state, progress);
    if (pages.kind === 'damaged') return { kind: 'discard', reason: pages.reason };
    const bytes = Math.ceil(Math.min(address, tock.size) / (pending.chunkSize * CHUNKS_PER_RANGE)) * HASH;
    if (pages.value.length < bytes) return { kind: 'discard', reason: 'page hashes are missing' };
    const pageHashes = pages.value.subarray(0, bytes);
    return {
      kind: 'resumable',
      pending,
      tock,
      checkpoint,
      pageHashes,
      map: checkpoint.compared ? null : mapOverBase(capture, state, pending),
    };
  }, 'patient');
}

/** Monitor runs since then may have added marks: then only more is read. */
function mapOverBase({ store }: Capture, state: PairingState, { archive, base, chunkSize }: Pending): DeltaMap | null {
  const ref = state.maps.find((map) => map.archive === archive && map.pairing === base?.pairing);
  if (ref === undefined) return null;
  const stored = store.readMap(state, ref);
  return stored.kind === 'intact' && stored.value.chunkSize === chunkSize ? stored.value : null;
}
