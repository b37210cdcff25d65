/**
 * A volume at one session: the overlay, by name, of that session and all older ones. Each range's folders are listed
 * once, newest session first, so that a lookup costs nothing per session.
 */
import { join } from 'node:path';
import {
  CHUNK_FILE_NAME,
  CHUNKS_PER_RANGE,
  chunkFileName,
  rangeFolderName,
} from '../../../../shared/archive/address.ts';
import { placeInRange } from '../../send-order.ts';
import { Refusal } from '../../refusal.ts';
import type { Disk } from '../disk/disk.ts';
import { PAGE } from './paths.ts';
import type { StoredSession } from './sessions.ts';

/** Ranges remembered: an agent reads a page and its chunks, and a few ranges in advance. */
const REMEMBERED = 8;

/** The session that has each file of a range: its number plus one, 0 for none. The last entry is the page's. */
type Holders = Uint32Array;

export class Overlay {
  readonly #disk: Disk;
  readonly #chunkSize: number;
  /** Newest first. */
  readonly #sessions: readonly StoredSession[];
  readonly #ranges = new Map<number, Holders>();

  /** `sessions`: those of the overlay, oldest first. */
  constructor(disk: Disk, chunkSize: number, sessions: readonly StoredSession[]) {
    this.#disk = disk;
    this.#chunkSize = chunkSize;
    this.#sessions = [...sessions].reverse();
  }

  /** The path of the newest file of this address. */
  chunk(address: number): string | undefined {
    const range = Math.floor(address / (this.#chunkSize * CHUNKS_PER_RANGE));
    const place = placeInRange(address, this.#chunkSize);
    return Number.isInteger(place) ? this.#path(range, place, chunkFileName(address)) : undefined;
  }

  /** The path of the newest page of this range. */
  page(range: number): string | undefined {
    return this.#path(range, CHUNKS_PER_RANGE, PAGE);
  }

  /** Whether any session has a file for the chunk at this place of the range. */
  holds(range: number, place: number): boolean {
    return this.#holders(range)[place] !== 0;
  }

  #path(range: number, place: number, file: string): string | undefined {
    const holder = this.#sessions[(this.#holders(range)[place] ?? 0) - 1];
    return holder === undefined ? undefined : join(holder.path, rangeFolderName(range, this.#chunkSize), file);
  }

  #holders(range: number): Holders {
    const known = this.#ranges.get(range);
    if (known !== undefined) return known;
    const found = this.#findHolders(range);
    this.#ranges.set(range, found);
    if (this.#ranges.size > REMEMBERED) {
      // The least recently used: a map keeps its entries in insertion order.
      for (const oldest of this.#ranges.keys()) {
        this.#ranges.delete(oldest);
        break;
      }
    }
    return found;
  }

  #findHolders(range: number): Holders {
    const folder = rangeFolderName(range, this.#chunkSize);
    const holders = new Uint32Array(CHUNKS_PER_RANGE + 1);
    this.#sessions.forEach(({ path, session }, number) => {
      const here = join(path, folder);
      const kind = this.#disk.kindOf(here);
      if (kind === undefined) return;
      if (kind !== 'folder') throw new Refusal('io', `${session}/${folder} is not a folder`);
      for (const file of this.#disk.list(here)) {
        const place = this.#placeOf(file, range);
        if (place !== undefined && holders[place] === 0) holders[place] = number + 1;
      }
    });
    return holders;
  }

  /** A file's place in the range; undefined if it is neither a chunk of it nor its page. */
  #placeOf(file: string, range: number): number | undefined {
    if (file === PAGE) return CHUNKS_PER_RANGE;
    if (!CHUNK_FILE_NAME.test(file)) return undefined;
    const place = parseInt(file, 16) / this.#chunkSize - range * CHUNKS_PER_RANGE;
    return Number.isInteger(place) && place >= 0 && place < CHUNKS_PER_RANGE ? place : undefined;
  }
}
