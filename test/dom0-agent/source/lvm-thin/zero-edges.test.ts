import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ZeroEdges } from '../../../../dom0-agent/source/lvm-thin/zero-edges.ts';
import { Random } from '../../../fixtures/random.ts';

const STALE = 0x55;

/** A device whose blocks hold what they held for another, once anything is written to them. */
class StaleDevice {
  readonly bytes: Buffer;
  written = 0;
  readonly #block: number;

  constructor(size: number, block: number) {
    this.bytes = Buffer.alloc(size);
    this.#block = block;
  }

  readonly #given = new Set<number>();

  write = (offset: number, content: Buffer): void => {
    for (let at = offset; at < offset + content.length; at++) this.#give(Math.floor(at / this.#block));
    content.copy(this.bytes, offset);
    this.written += content.length;
  };

  #give(block: number): void {
    if (this.#given.has(block)) return;
    this.#given.add(block);
    this.bytes.subarray(block * this.#block, (block + 1) * this.#block).fill(STALE);
  }
}

describe('the zeros of a new volume', () => {
  it('are zeros, whatever the blocks held before, and whole blocks of them are not written', () => {
    const random = new Random('zero edges');
    for (let round = 0; round < 200; round++) {
      const [chunk, block] = [random.between(1, 8), random.between(1, 12)];
      const content = Buffer.alloc(random.between(1, 100));
      const device = new StaleDevice(content.length + random.int(20), block);
      const edges = new ZeroEdges({
        ...{ block, size: device.bytes.length },
        write: (offset, length) => {
          device.write(offset, Buffer.alloc(length));
        },
      });
      let data = 0;
      const chunks: [number, Buffer][] = [];
      for (let at = 0; at < content.length; at += chunk) {
        const piece = content.subarray(at, at + chunk);
        if (random.once(2)) edges.add(at, piece.length);
        else {
          piece.fill(random.between(1, 0x50));
          data += piece.length;
          chunks.push([at, piece]);
        }
      }
      // Workers write when they are ready: before, between and after.
      for (const [at, piece] of chunks) if (random.once(2)) device.write(at, piece);
      edges.finish(content.length);
      for (const [at, piece] of chunks) device.write(at, piece);
      const expected = Buffer.concat([content], device.bytes.length);
      assert.ok(device.bytes.equals(expected), `chunks of ${chunk}, blocks of ${block}, round ${round}`);
      if (data === 0) assert.equal(device.written, 0, 'nothing is written where all is zeros');
    }
  });
});
