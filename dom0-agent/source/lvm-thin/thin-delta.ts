/**
 * Reads the output of `thin_delta` for two thin devices:
 *
 *     <superblock uuid="" time="5" transaction="7" data_block_size="128" nr_data_blocks="0">
 *       <diff left="3" right="7">
 *         <left_only begin="0" length="2"/>
 *         <same begin="2" length="14"/>
 *         <different begin="16" length="4"/>
 *         <right_only begin="20" length="4"/>
 *       </diff>
 *     </superblock>
 *
 * Versions 0.9 and 1.x print the same, the newer without a last newline. Numbers count blocks of the pool, in rising
 * order; where there is no element, neither device has anything mapped. Exactly this is accepted: everything else, and
 * a listing that is cut off anywhere, is refused.
 */
import { SparsebakError } from '../../../shared/errors.ts';
import { RangeList } from '../byte-ranges.ts';
import type { ByteRange } from '../source.ts';
import { strange, TagReader, type Attributes, type Tag } from './metadata-xml.ts';
import { blockSizeOf } from './superblock.ts';

export interface ThinDelta {
  /** Where the two may differ, up to the end of the newer one's mappings. */
  readonly ranges: ByteRange[];
  /** How many blocks each has mapped. */
  readonly leftBlocks: number;
  readonly rightBlocks: number;
}

/** Which of the two have something mapped there, and whether it may differ. */
const KINDS: Readonly<Record<string, { left: boolean; right: boolean; changed: boolean }>> = {
  same: { left: true, right: true, changed: false },
  different: { left: true, right: true, changed: true },
  left_only: { left: true, right: false, changed: true },
  right_only: { left: false, right: true, changed: true },
};

export class ThinDeltaReader {
  readonly #tags = new TagReader((tag) => {
    this.#tag(tag);
  });
  readonly #left: number;
  readonly #right: number;
  readonly #ranges = new RangeList();
  #expected: 'superblock' | 'diff' | 'difference' | 'end of superblock' | 'nothing' = 'superblock';
  #blockSize = 0;
  /** The block after the last element. */
  #block = 0;
  #leftBlocks = 0;
  #rightBlocks = 0;

  /** @param left the number of the older device, @param right of the newer */
  constructor(left: number, right: number) {
    this.#left = left;
    this.#right = right;
  }

  text(piece: string): void {
    this.#tags.text(piece);
  }

  end(): ThinDelta {
    this.#tags.end();
    if (this.#expected !== 'nothing') throw new SparsebakError('source', 'thin_delta: the listing has no end');
    return { ranges: this.#ranges.finish(), leftBlocks: this.#leftBlocks, rightBlocks: this.#rightBlocks };
  }

  #tag(tag: Tag): void {
    switch (this.#expected) {
      case 'superblock':
        if (tag.kind !== 'open' || tag.name !== 'superblock') throw strange(tag.name);
        tag.attributes.expect(['uuid', 'time', 'transaction', 'data_block_size', 'nr_data_blocks']);
        this.#blockSize = blockSizeOf(tag.attributes);
        this.#expected = 'diff';
        return;
      case 'diff':
        if (tag.kind !== 'open' || tag.name !== 'diff') throw strange(tag.name);
        this.#diff(tag.attributes);
        this.#expected = 'difference';
        return;
      case 'difference':
        if (tag.kind === 'empty') this.#difference(tag.name, tag.attributes);
        else if (tag.kind === 'close' && tag.name === 'diff') this.#expected = 'end of superblock';
        else throw strange(tag.name);
        return;
      case 'end of superblock':
        if (tag.kind !== 'close' || tag.name !== 'superblock') throw strange(tag.name);
        this.#expected = 'nothing';
        return;
      case 'nothing':
        throw strange(tag.name);
    }
  }

  #diff(attributes: Attributes): void {
    attributes.expect(['left', 'right']);
    if (attributes.number('left') !== this.#left || attributes.number('right') !== this.#right) {
      throw new SparsebakError('source', 'thin_delta: the listing is about other devices');
    }
  }

  #difference(name: string, attributes: Attributes): void {
    const kind = KINDS[name];
    if (kind === undefined) throw strange(name);
    attributes.expect(['begin', 'length']);
    const begin = attributes.number('begin');
    const length = attributes.number('length');
    const end = begin + length;
    if (length === 0 || begin < this.#block || !Number.isSafeInteger(end * this.#blockSize)) {
      throw new SparsebakError('source', `thin_delta: ${name} of ${length} blocks at ${begin} is out of place`);
    }
    this.#block = end;
    if (kind.left) this.#leftBlocks += length;
    if (kind.right) this.#rightBlocks += length;
    if (kind.changed) this.#ranges.add(begin * this.#blockSize, end * this.#blockSize);
  }
}
