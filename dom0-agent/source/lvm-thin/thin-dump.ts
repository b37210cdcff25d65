/**
 * Reads the output of `thin_dump` for thin devices, with the mapped ranges of each:
 *
 *     <superblock uuid="" time="5" transaction="7" flags="0" version="2" data_block_size="128" nr_data_blocks="0">
 *       <device dev_id="7" mapped_blocks="17" transaction="6" creation_time="5" snap_time="5">
 *         <range_mapping origin_begin="2" data_begin="2" length="16" time="0"/>
 *         <single_mapping origin_block="300" data_block="400" time="3"/>
 *       </device>
 *     </superblock>
 *
 * Version 1.x prints no flags and no last newline. With --skip-mappings the devices are empty. Exactly this is
 * accepted. (1.x has `def` and `ref` for mappings that devices share; a listing of one device has none.)
 */
import { SparsebakError } from '../../../shared/errors.ts';
import { RangeList } from '../byte-ranges.ts';
import type { ByteRange } from '../source.ts';
import { strange, TagReader, type Attributes, type Tag } from './metadata-xml.ts';
import { blockSizeOf } from './superblock.ts';

export interface ThinDevice {
  readonly id: number;
  readonly mappedBlocks: number;
  /** The pool's transaction when the device was made. */
  readonly transaction: number;
}

export interface ThinDump {
  readonly devices: ReadonlyMap<number, ThinDevice>;
  /** Mapped ranges of all listed devices; empty without mappings. */
  readonly ranges: ByteRange[];
  /** How many blocks the ranges contain. */
  readonly blocks: number;
}

export class ThinDumpReader {
  readonly #tags = new TagReader((tag) => {
    this.#tag(tag);
  });
  readonly #devices = new Map<number, ThinDevice>();
  readonly #ranges = new RangeList();
  #expected: 'superblock' | 'device' | 'mapping' | 'nothing' = 'superblock';
  #blockSize = 0;
  #block = 0;
  #blocks = 0;

  text(piece: string): void {
    this.#tags.text(piece);
  }

  end(): ThinDump {
    this.#tags.end();
    if (this.#expected !== 'nothing') throw new SparsebakError('source', 'thin_dump: the listing has no end');
    return { devices: this.#devices, ranges: this.#ranges.finish(), blocks: this.#blocks };
  }

  #tag(tag: Tag): void {
    switch (this.#expected) {
      case 'superblock':
        if (tag.kind !== 'open' || tag.name !== 'superblock') throw strange(tag.name);
        this.#superblock(tag.attributes);
        this.#expected = 'device';
        return;
      case 'device':
        if (tag.kind === 'open' && tag.name === 'device') {
          this.#device(tag.attributes);
          this.#expected = 'mapping';
        } else if (tag.kind === 'close' && tag.name === 'superblock') this.#expected = 'nothing';
        else throw strange(tag.name);
        return;
      case 'mapping':
        if (tag.kind === 'close' && tag.name === 'device') this.#expected = 'device';
        else if (tag.kind === 'empty') this.#mapping(tag.name, tag.attributes);
        else throw strange(tag.name);
        return;
      case 'nothing':
        throw strange(tag.name);
    }
  }

  #superblock(attributes: Attributes): void {
    attributes.expect(['uuid', 'time', 'transaction', 'version', 'data_block_size', 'nr_data_blocks'], ['flags']);
    if (attributes.number('version') !== 2 || (attributes.text('flags') ?? '0') !== '0') {
      throw new SparsebakError('source', 'thin_dump: metadata of another version, or in need of a repair');
    }
    this.#blockSize = blockSizeOf(attributes);
  }

  #device(attributes: Attributes): void {
    attributes.expect(['dev_id', 'mapped_blocks', 'transaction', 'creation_time', 'snap_time']);
    const id = attributes.number('dev_id');
    if (this.#devices.has(id)) throw new SparsebakError('source', `thin_dump: device ${id} is repeated`);
    const mappedBlocks = attributes.number('mapped_blocks');
    this.#devices.set(id, { id, mappedBlocks, transaction: attributes.number('transaction') });
    this.#block = 0;
  }

  #mapping(name: string, attributes: Attributes): void {
    if (name === 'range_mapping') {
      attributes.expect(['origin_begin', 'data_begin', 'length', 'time']);
      this.#add(attributes.number('origin_begin'), attributes.number('length'));
    } else if (name === 'single_mapping') {
      attributes.expect(['origin_block', 'data_block', 'time']);
      this.#add(attributes.number('origin_block'), 1);
    } else throw strange(name);
  }

  #add(begin: number, length: number): void {
    const end = begin + length;
    if (length === 0 || begin < this.#block || !Number.isSafeInteger(end * this.#blockSize)) {
      throw new SparsebakError('source', `thin_dump: ${length} blocks at ${begin} are out of place`);
    }
    if (this.#devices.size > 1) throw new SparsebakError('source', 'thin_dump: mappings of more than one device');
    this.#block = end;
    this.#blocks += length;
    this.#ranges.add(begin * this.#blockSize, end * this.#blockSize);
  }
}
