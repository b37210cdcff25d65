import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DOUBTFUL, ExtentList } from '../../../dom0-agent/source/extents.ts';
import { ListingParser, type Listed } from '../../../dom0-agent/source/filefrag.ts';

/** As filefrag 1.47.0 printed it, of a file on XFS with an unwritten extent, one beyond 2 TiB, and one on Btrfs. */
const LISTING = `Filesystem type is: 58465342
File size of /proc/self/fd/3 is 3298534883328 (3298534883328 blocks of 1 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0.. 3002367:      98304..   3100671: 3002368:             shared
   1: 10485760..11534335:    3100672..   4149247: 1048576:             unwritten
   2: 2199023255552..2199023259647:    4149248..   4153343:   4096: 2199023353856: last,shared
/proc/self/fd/3: 2 extents found
File size of /proc/self/fd/4 is 3 (4096 block of 1 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..    4095:          0..      4095:   4096:             last,not_aligned,inline,eof
/proc/self/fd/4: 1 extent found
File size of /proc/self/fd/5 is 0 (0 blocks of 1 bytes)
/proc/self/fd/5: 0 extents found
`;

const SIZES = [3298534883328, 3, 0];

function listedAs(sizes: readonly number[]): Listed[] {
  return sizes.map((size, index) => {
    return { name: `/proc/self/fd/${String(3 + index)}`, size, hasBlocks: size > 0, sink: new ExtentList() };
  });
}

type Row = readonly [offset: number, end: number, physical: number];

function parse(text: string, sizes: readonly number[] = SIZES): Row[][] {
  const listed = listedAs(sizes);
  const parser = new ListingParser(listed);
  for (const line of text.split('\n').slice(0, -1)) parser.line(line);
  parser.end();
  return listed.map(({ sink }) => {
    assert.ok(sink instanceof ExtentList);
    return Array.from({ length: sink.count }, (_, i) => [sink.start(i), sink.end(i), sink.physical(i)] as const);
  });
}

function rowWith(flags: string, length = '4096'): string {
  return `Filesystem type is: 9123683e
File size of /proc/self/fd/3 is 4096 (4096 blocks of 1 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..    4095:       8192..     12287:   ${length}:             ${flags}
/proc/self/fd/3: 1 extent found
`;
}

describe("filefrag's listing", () => {
  it('gives extents in bytes, without those that hold zeros (L15, L20)', () => {
    assert.deepEqual(parse(LISTING), [
      [
        [0, 3002368, 98304],
        [2199023255552, 2199023259648, 4149248],
      ],
      [[0, 3, DOUBTFUL]],
      [],
    ]);
  });

  it('is refused wherever it is cut short (L1)', () => {
    for (let length = 0; length < LISTING.length - 1; length++) {
      assert.throws(
        () => parse(`${LISTING.slice(0, length)}\n`),
        { code: 'source' },
        `after ${String(length)} characters`,
      );
    }
  });

  it('is refused when any line is missing, doubled, or swapped with the next', () => {
    const lines = LISTING.split('\n').slice(0, -1);
    for (let at = 0; at < lines.length; at++) {
      const [line = '', next = ''] = lines.slice(at);
      const doubled = lines.toSpliced(at, 0, line);
      assert.throws(() => parse(`${doubled.join('\n')}\n`), { code: 'source' }, `doubled: ${line}`);
      // The type is printed for the first file of each device only, so it may be absent.
      if (at > 0)
        assert.throws(() => parse(`${lines.toSpliced(at, 1).join('\n')}\n`), { code: 'source' }, `missing: ${line}`);
      if (next === '') continue;
      assert.throws(
        () => parse(`${lines.toSpliced(at, 2, next, line).join('\n')}\n`),
        { code: 'source' },
        `swapped: ${line}`,
      );
    }
  });

  it('is refused when a number is another', () => {
    let refused = 0;
    for (const { index, 0: digit } of LISTING.matchAll(/\d/g)) {
      const other = `${LISTING.slice(0, index)}${String((Number(digit) + 1) % 10)}${LISTING.slice(index + 1)}`;
      try {
        const rows = parse(other);
        // What can't be told by the listing alone: the type, block counts, hints, and where both ends of a range are
        // moved.
        assert.deepEqual(rows, parse(LISTING));
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'source');
        refused += 1;
      }
    }
    assert.ok(refused > 100, `${String(refused)} refused`);
  });

  it('ignores only flags that say nothing about content (L20)', () => {
    for (const flags of ['', 'shared,', 'merged,', 'merged,shared,']) {
      assert.deepEqual(parse(rowWith(`last,${flags}eof`), [4096]), [[[0, 4096, 8192]]], flags);
    }
    assert.deepEqual(parse(rowWith('last,unwritten,shared,eof'), [4096]), [[]]);
    const doubtful = [
      'delalloc',
      'encoded',
      'encrypted',
      'not_aligned',
      'inline',
      'tail_packed',
      'hole',
      '0x4000',
      'novel',
    ];
    for (const flag of [...doubtful, 'unwritten,delalloc', 'encoded,shared', 'unwritten,encoded']) {
      assert.deepEqual(parse(rowWith(`last,${flag},eof`), [4096]), [[[0, 4096, DOUBTFUL]]], flag);
    }
    const unknown = rowWith('last,unknown_loc,eof', '0').replace('8192..     12287', '   0..         0');
    assert.deepEqual(parse(unknown, [4096]), [[[0, 4096, DOUBTFUL]]]);
    assert.throws(() => parse(rowWith('last,FUNNY'), [4096]), { code: 'source' });
  });

  it('is refused for another file, another size, other units, or a file whose blocks it lacks', () => {
    const good = rowWith('last,eof');
    assert.throws(() => parse(good, [4097]), /for a file of 4097 bytes/);
    assert.throws(() => parse(good.replaceAll('fd/3', 'fd/4'), [4096]), /should begin/);
    assert.throws(() => parse(good.replace('of 1 bytes', 'of 4096 bytes'), [4096]), /should begin/);
    assert.throws(() => parse(rowWith('eof'), [4096]), /last extent is missing/);
    // What is printed where FIEMAP failed and FIBMAP knows nothing of a file with shared blocks.
    const none = 'Filesystem type is: 58465342\nFile size of /proc/self/fd/3 is 4096 (4096 blocks of 1 bytes)\n';
    assert.throws(() => parse(`${none}/proc/self/fd/3: 0 extents found\n`, [4096]), /for a file that has blocks/);
    assert.throws(() => parse(good.replace(': 1 extent found', ': 0 extents found'), [4096]), /after 1 extents/);
  });

  it('is exact to 2^53 and refused above (L15)', () => {
    const at = (offset: number | bigint, length: number): string => {
      const end = BigInt(offset) + BigInt(length);
      return `File size of /proc/self/fd/3 is ${String(end)} (${String(end)} blocks of 1 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0: ${String(offset)}..${String(end - 1n)}: 0..${String(length - 1)}: ${String(length)}:             last,eof
/proc/self/fd/3: 1 extent found
`;
    };
    const edge = 2 ** 53 - 2 ** 35;
    const end = edge + 2 ** 34 + 1;
    assert.deepEqual(parse(at(edge, 2 ** 34 + 1), [end]), [[[edge, end, 0]]]);
    assert.throws(() => parse(at(2n ** 53n, 4096), [2 ** 53 + 4096]), { code: 'source' });
  });
});
