/**
 * Every slot and catalogue that was put in memory. Nothing has its time here: who forgets is asked to.
 */
import { createHash } from 'node:crypto';
import { Refusal } from '../refusal.ts';
import type { KeptVersion } from '../store.ts';

interface Put {
  readonly number: number;
  /** Undefined for a catalogue. */
  readonly slot: string | undefined;
  /** Undefined for a removal. */
  readonly data: Uint8Array | undefined;
  readonly time: number;
}

export class MemoryKept {
  #puts: Put[] = [];
  #last = 0;

  put(slot: string | undefined, data: Uint8Array | undefined): void {
    const last = this.#of(slot).at(-1);
    const isSame =
      data === undefined ? last?.data === undefined : last?.data !== undefined && Buffer.compare(last.data, data) === 0;
    if (isSame) return;
    this.#last += 1;
    this.#puts.push({ number: this.#last, slot, data, time: Date.now() });
  }

  #of(slot: string | undefined): Put[] {
    return this.#puts.filter((each) => each.slot === slot);
  }

  versions(): KeptVersion[] {
    const all = this.#puts.flatMap((each) => (each.data === undefined ? [] : [this.#versionOf(each, each.data)]));
    return [...all.filter(({ slot }) => slot === undefined), ...all.filter(({ slot }) => slot !== undefined)];
  }

  #versionOf({ number, slot, time }: Put, data: Uint8Array): KeptVersion {
    const next = this.#of(slot).find((other) => other.number > number);
    const standing = next === undefined ? 'current' : next.data === undefined ? 'removed' : 'replaced';
    const sha256 = createHash('sha256').update(data).digest('hex');
    const until = standing === 'current' || slot === undefined ? undefined : Infinity;
    return { number, slot, time, sha256, bytes: data.length, standing, until };
  }

  get(number: number): { readonly version: KeptVersion; readonly data: Uint8Array } {
    const put = this.#puts.find((each) => each.number === number);
    if (put?.data === undefined) throw new Refusal('not-found', `no version ${number} is kept`);
    return { version: this.#versionOf(put, put.data), data: put.data };
  }

  forget(number: number): void {
    const { version } = this.get(number);
    if (version.standing === 'current') throw new Refusal('refused', `version ${number} is the current one`);
    this.#puts = this.#puts.filter((each) => each.number !== number);
  }
}
