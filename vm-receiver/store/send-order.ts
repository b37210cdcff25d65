/**
 * The order that a send's messages must have (docs/protocol.md, section 4): addresses rise, pages rise, nothing comes
 * below a page or a checkpoint that was sent. So a checkpoint covers everything below it.
 */
import { CHUNKS_PER_RANGE, type Geometry } from '../../shared/archive/address.ts';
import { Refusal } from './refusal.ts';

export class SendOrder {
  readonly #geometry: Geometry;
  /** Chunks and zeros must be at or above this address. */
  #nextAddress = 0;
  #nextPage = 0;
  #checkpoint = 0;

  /** `from`: the checkpoint of a resumed send, otherwise 0. */
  constructor(geometry: Geometry, from: number) {
    this.#geometry = geometry;
    this.#raise(from);
    this.#checkpoint = from;
    this.#nextPage = from / geometry.rangeBytes;
  }

  chunk(address: number): void {
    this.#run(address, 1);
  }

  zeros(address: number, count: number): void {
    this.#run(address, count);
  }

  #run(address: number, count: number): void {
    const { chunkSize, chunkCount } = this.#geometry;
    const first = address / chunkSize;
    if (!Number.isInteger(first)) throw outOfOrder(`${address} is not the address of a chunk`);
    if (first + count > chunkCount) throw outOfOrder(`${count} chunks from ${address} on are past the volume's end`);
    if (address < this.#nextAddress) throw outOfOrder(`address ${address} comes after something at or above it`);
    this.#nextAddress = address + count * chunkSize;
  }

  page(range: number): void {
    if (range >= this.#geometry.rangeCount) throw outOfOrder(`page ${range} is past the volume's end`);
    if (range < this.#nextPage) throw outOfOrder(`page ${range} comes after one at or above it`);
    this.#nextPage = range + 1;
    this.#raise(this.#nextPage * this.#geometry.rangeBytes);
  }

  checkpoint(address: number): void {
    const range = address / this.#geometry.rangeBytes;
    if (!Number.isInteger(range)) throw outOfOrder(`a checkpoint at ${address}, which is not a range boundary`);
    if (address < this.#checkpoint) throw outOfOrder(`a checkpoint at ${address}, below the previous one`);
    this.#checkpoint = address;
    this.#nextPage = Math.max(this.#nextPage, range);
    this.#raise(address);
  }

  #raise(address: number): void {
    this.#nextAddress = Math.max(this.#nextAddress, address);
  }
}

function outOfOrder(message: string): Refusal {
  return new Refusal('bad-request', message);
}

/** Number of a chunk within its range. */
export function placeInRange(address: number, chunkSize: number): number {
  return (address / chunkSize) % CHUNKS_PER_RANGE;
}
