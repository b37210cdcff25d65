/**
 * The commands of dom0's agent as far as pairing goes, over a model of everything else: what `send` does between the
 * steps under test. Each command may be cut off anywhere; the next knows only what is on disk.
 *
 * The oracle: a head is made of its base's chunks and of those of the snapshot that the map marks, and must equal the
 * snapshot in every chunk. A mark too few shows as a head that differs.
 */
import assert from 'node:assert/strict';
import { beginSend, type SendRequest } from '../../../../dom0-agent/capture/begin-send.ts';
import type { Capture } from '../../../../dom0-agent/capture/capture.ts';
import { checkpointed, mayResume, resumption } from '../../../../dom0-agent/capture/resumption.ts';
import {
  committed,
  discarded,
  ended,
  settled,
  unfinished,
  type Ending,
  type SendRef,
} from '../../../../dom0-agent/capture/conclude.ts';
import type { DeltaMap } from '../../../../dom0-agent/capture/delta-map.ts';
import { monitor } from '../../../../dom0-agent/capture/monitor-volumes.ts';
import type { Pending } from '../../../../dom0-agent/capture/pairing.ts';
import { removeStale } from '../../../../dom0-agent/capture/remove-stale.ts';
import { release } from '../../../../dom0-agent/capture/release-snapshots.ts';
import { CHUNKS_PER_RANGE } from '../../../../shared/archive/address.ts';
import type { PairingId } from '../../../../shared/archive/names.ts';
import type { SnapshotRef } from '../../../../dom0-agent/source/source.ts';
import type { Random } from '../../../fixtures/random.ts';
import { chunkTexts } from './content.ts';
import type { Machine } from './machine.ts';
import { newId, type Head, type ModelReceiver } from './receiver.ts';
import type { ModelSource } from './source.ts';

/** What was done: a test that did nothing proves nothing. */
export const counted = {
  monitored: 0,
  resets: 0,
  full: 0,
  incremental: 0,
  unchanged: 0,
  compared: 0,
  discarded: 0,
  resumed: 0,
  committedLate: 0,
  together: 0,
  reaped: 0,
  released: 0,
};

const NEVER = () => Promise.resolve(false);

/** How a send ends when nothing goes wrong. */
export type Cut = 'commit' | 'checkpoint' | 'abandon';

export class ModelAgent {
  readonly capture: Capture;
  readonly #source: ModelSource;
  readonly #machine: Machine;
  readonly #random: Random;
  /** Milliseconds since 1970. */
  now = 1_000_000_000;

  constructor(capture: Capture, source: ModelSource, machine: Machine, random: Random) {
    this.capture = capture;
    this.#source = source;
    this.#machine = machine;
    this.#random = random;
  }

  async monitor(volumes: readonly string[]): Promise<void> {
    for (const outcome of await monitor(this.capture, volumes)) {
      if (outcome.kind === 'monitored') counted.monitored += 1;
      if (outcome.kind === 'reset') counted.resets += 1;
    }
  }

  async reap(days = 0): Promise<void> {
    this.now += days * 24 * 60 * 60 * 1000;
    const { longMissing: reaped } = await removeStale(this.capture, { now: this.now, isSending: NEVER });
    counted.reaped += reaped.length;
  }

  async release(enough: number): Promise<void> {
    let asked = 0;
    const isEnough = () => Promise.resolve(++asked > enough);
    counted.released += (await release(this.capture, { isEnough, isSending: NEVER })).length;
  }

  async send(receiver: ModelReceiver, volumes: readonly string[], cut: Cut): Promise<void> {
    await this.#resolveAll(receiver);
    const requests = volumes.map((volume): SendRequest => ({
      volume,
      archive: receiver.archive,
      chunkSize: receiver.chunkSize,
      pairing: newId() as PairingId,
      base: receiver.base(volume),
      volumeId: receiver.idOf(volume),
      name: volume,
      session: receiver.nextSession(volume),
      sequence: ++receiver.sequence,
    }));
    const together = this.#random.once(2);
    const waiting: Ending[] = [];
    const committedNow: SendRef[] = [];
    for (const start of await beginSend(this.capture, requests)) {
      const request = requests.find(({ volume }) => volume === start.volume);
      if (start.kind !== 'begun' || request === undefined) continue;
      const ending = await this.#transfer(receiver, request, start.tock, start.map, cut);
      if (ending === undefined) continue;
      waiting.push(ending);
      if (!together) await this.#note(waiting.splice(0), committedNow);
    }
    await this.#note(waiting, committedNow);
    await settled(this.capture, committedNow);
  }

  /** What could not be noted the next command settles, so it is not settled now. */
  async #note(endings: readonly Ending[], committedNow: SendRef[]): Promise<void> {
    const failures = await ended(this.capture, endings);
    const noted = endings.filter(({ kind, send }) => kind === 'committed' && !failures.has(send.volume));
    committedNow.push(...noted.map(({ send }) => send));
    counted.together = Math.max(counted.together, noted.length);
    for (const error of failures.values()) throw error;
  }

  async #resolveAll(receiver: ModelReceiver): Promise<void> {
    for (const { volume, pending } of unfinished(this.capture, receiver.archive)) {
      const send = { volume, archive: receiver.archive, pairing: pending.pairing };
      if (receiver.newest(volume)?.pairing === pending.pairing) {
        counted.committedLate += 1;
        await committed(this.capture, send);
        await settled(this.capture, [send]);
      } else if (!(await this.#resume(receiver, send, pending))) {
        counted.discarded += 1;
        await discarded(this.capture, send);
      }
    }
  }

  async #resume(receiver: ModelReceiver, send: SendRef, pending: Pending): Promise<boolean> {
    const reached = receiver.resolve(send.volume, send.pairing);
    if (reached === undefined || !(await mayResume(this.capture, pending))) return false;
    const resumed = await resumption(this.capture, send, {
      address: reached.address,
      newest: receiver.newest(send.volume)?.pairing ?? null,
    });
    if (resumed.kind === 'discard') return false;
    counted.resumed += 1;
    const rest = this.#read(receiver, send.volume, resumed.tock, resumed.map).slice(reached.chunks.length);
    this.#commit(receiver, send, resumed.tock, [...reached.chunks, ...rest], pending.session);
    await committed(this.capture, send);
    await settled(this.capture, [send]);
    return true;
  }

  /** The new head's chunks: the snapshot's where the map marks them, else the base's. */
  #read(receiver: ModelReceiver, volume: string, tock: SnapshotRef, map: DeltaMap | null): string[] {
    const base = receiver.newest(volume)?.chunks ?? [];
    const chunks = chunkTexts(this.#source.contentOf(tock), receiver.chunkSize);
    counted.compared += chunks.length;
    counted[map === null ? 'full' : 'incremental'] += 1;
    return map === null ? chunks : chunks.map((text, chunk) => (map.has(chunk) ? text : (base[chunk] ?? 'never sent')));
  }

  async #transfer(
    receiver: ModelReceiver,
    send: SendRequest,
    tock: SnapshotRef,
    map: DeltaMap | null,
    cut: Cut,
  ): Promise<Ending | undefined> {
    const base = receiver.newest(send.volume);
    const chunks = this.#read(receiver, send.volume, tock, map);
    if (base?.size === tock.size && base.chunks.every((text, chunk) => text === chunks[chunk])) {
      counted.unchanged += 1;
      this.#mustEqual(receiver, send.volume, tock, chunks);
      return { kind: 'unchanged', send, rolling: undefined };
    }
    if (cut !== 'commit') {
      const address = CHUNKS_PER_RANGE * receiver.chunkSize;
      const done = chunks.slice(0, this.#random.int(chunks.length + 1));
      await checkpointed(this.capture, send, { address, changedBytes: 0, compared: map === null }, Buffer.alloc(32));
      this.#machine.operation('checkpoint', () =>
        receiver.checkpoint(send.volume, { pairing: send.pairing, chunks: done, address }),
      );
      if (cut === 'abandon') await discarded(this.capture, send);
      return undefined;
    }
    this.#commit(receiver, send, tock, chunks, send.session);
    return { kind: 'committed', send, rolling: undefined };
  }

  #commit(
    receiver: ModelReceiver,
    send: SendRef,
    tock: SnapshotRef,
    chunks: readonly string[],
    session: Head['session'],
  ): void {
    this.#mustEqual(receiver, send.volume, tock, chunks);
    this.#machine.operation('commit', () =>
      receiver.commit(send.volume, { pairing: send.pairing, session, size: tock.size, chunks }),
    );
  }

  #mustEqual(receiver: ModelReceiver, volume: string, tock: SnapshotRef, chunks: readonly string[]): void {
    const held = chunkTexts(this.#source.contentOf(tock), receiver.chunkSize);
    assert.deepEqual(chunks, held, `the new head of ${volume} must hold what its snapshot holds`);
  }
}
