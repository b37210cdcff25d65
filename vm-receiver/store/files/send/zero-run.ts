/**
 * Finds the chunks of a run of zeros that need a file: those for which an older session has one, which would otherwise
 * be visible. A run may span most of a volume that is mostly holes, so only ranges that some session has are examined.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CHUNKS_PER_RANGE, RANGE_FOLDER_NAME } from '../../../../shared/archive/address.ts';
import type { Disk } from '../disk/disk.ts';
import { firstAddressOf } from '../layout/paths.ts';
import type { StoredSession } from '../layout/sessions.ts';
import type { VolumeReader } from '../layout/volume-reader.ts';

/** A run with at most this many ranges is looked up range by range. */
const FEW = 4;
/** Milliseconds of work at a time: in between, other tasks of the process get their turn. */
const TURN = 50;

export class ZeroRuns {
  readonly #disk: Disk;
  readonly #chunkSize: number;
  #ranges: Uint32Array | undefined;

  constructor(disk: Disk, chunkSize: number) {
    this.#disk = disk;
    this.#chunkSize = chunkSize;
  }

  /** Calls `need` for each chunk of the run that needs a file, in rising order. */
  async each(
    reader: VolumeReader,
    address: number,
    count: number,
    need: (range: number, address: number) => void,
  ): Promise<void> {
    const first = address / this.#chunkSize;
    const end = first + count;
    const overlay = reader.all;
    let began = performance.now();
    for (const range of this.#rangesOf(reader.sessions, first, end)) {
      const start = range * CHUNKS_PER_RANGE;
      const stop = Math.min(end, start + CHUNKS_PER_RANGE);
      for (let chunk = Math.max(first, start); chunk < stop; chunk++) {
        if (overlay.holds(range, chunk - start)) need(range, chunk * this.#chunkSize);
      }
      if (performance.now() - began > TURN) {
        await nextTurn();
        began = performance.now();
      }
    }
  }

  /** Numbers of the ranges to examine for the chunks from `first` up to `end`, rising. */
  #rangesOf(sessions: readonly StoredSession[], first: number, end: number): Iterable<number> {
    const from = Math.floor(first / CHUNKS_PER_RANGE);
    const to = Math.floor((end - 1) / CHUNKS_PER_RANGE);
    if (to - from < FEW) return Array.from({ length: to - from + 1 }, (_, number) => from + number);
    this.#ranges ??= this.#rangesThatExist(sessions);
    return this.#ranges.filter((range) => range >= from && range <= to);
  }

  #rangesThatExist(sessions: readonly StoredSession[]): Uint32Array {
    const bytes = this.#chunkSize * CHUNKS_PER_RANGE;
    const found = new Set<number>();
    for (const { path } of sessions) {
      for (const folder of this.#disk.list(path)) {
        if (!RANGE_FOLDER_NAME.test(folder)) continue;
        const range = firstAddressOf(folder) / bytes;
        if (Number.isInteger(range)) found.add(range);
      }
    }
    return Uint32Array.from(found).sort();
  }
}
