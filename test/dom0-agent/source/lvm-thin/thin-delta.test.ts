import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { ByteRange } from '../../../../dom0-agent/source/source.ts';
import { ThinDeltaReader, type ThinDelta } from '../../../../dom0-agent/source/lvm-thin/thin-delta.ts';
import { SparsebakError } from '../../../../shared/errors.ts';
import { Random } from '../../../fixtures/random.ts';
import { makeScratch, removeScratch, scratchFor } from '../../../fixtures/scratch.ts';
import { installedTools, metadataFile, newerTools, type Mapping } from './thin-tools.ts';

const LISTING = `<superblock uuid="" time="5" transaction="7" data_block_size="128" nr_data_blocks="0">
  <diff left="3" right="7">
    <left_only begin="0" length="2"/>
    <same begin="2" length="14"/>
    <different begin="16" length="4"/>
    <right_only begin="20" length="4"/>
    <same begin="100" length="1"/>
    <left_only begin="1099511627" length="1"/>
  </diff>
</superblock>`;

const BLOCK = 64 * 1024;
const RANGES = [
  { offset: 0, length: 2 * BLOCK },
  { offset: 16 * BLOCK, length: 8 * BLOCK },
  { offset: 1099511627 * BLOCK, length: BLOCK },
];

function read(pieces: readonly string[], left = 3, right = 7): ThinDelta {
  const reader = new ThinDeltaReader(left, right);
  for (const piece of pieces) reader.text(piece);
  return reader.end();
}

function assertRefused(text: string, why: string): void {
  assert.throws(
    () => read([text]),
    (error) => error instanceof SparsebakError && error.code === 'source',
    why,
  );
}

describe('what thin_delta says (L1)', () => {
  it('marks what is different or mapped on one side only', () => {
    assert.deepEqual(read([LISTING]), { ranges: RANGES, leftBlocks: 22, rightBlocks: 23 });
    assert.deepEqual(read([`${LISTING}\n`]), read([LISTING]));
  });

  it('is read the same however it is cut', () => {
    const whole = read([LISTING]);
    assert.deepEqual(read(Array.from(LISTING)), whole);
    for (let at = 0; at <= LISTING.length; at++) {
      assert.deepEqual(read([LISTING.slice(0, at), LISTING.slice(at)]), whole);
    }
  });

  it('is refused wherever it ends too early', () => {
    for (let length = 0; length < LISTING.length; length++) assertRefused(LISTING.slice(0, length), `${length} bytes`);
  });

  it('is refused with any one tag left out, twice there, or exchanged with the next', () => {
    const tags = LISTING.split('\n');
    for (let at = 0; at < tags.length; at++) {
      // A difference that is left out leaves a well-formed listing: what is mapped is counted against that.
      const isDifference = at >= 2 && at <= 7;
      if (!isDifference) assertRefused(tags.toSpliced(at, 1).join('\n'), `without ${String(tags[at])}`);
      assertRefused(tags.toSpliced(at, 0, tags[at]!).join('\n'), `twice ${String(tags[at])}`);
      if (at + 1 < tags.length) {
        assertRefused(tags.toSpliced(at, 2, tags[at + 1]!, tags[at]!).join('\n'), `exchanged ${String(tags[at])}`);
      }
    }
  });

  it('counts what is mapped, so that a difference left out shows (L2)', () => {
    const tags = LISTING.split('\n');
    const { leftBlocks, rightBlocks } = read([LISTING]);
    for (let at = 2; at <= 7; at++) {
      const rest = read([tags.toSpliced(at, 1).join('\n')]);
      assert.ok(rest.leftBlocks < leftBlocks || rest.rightBlocks < rightBlocks);
    }
  });

  it('is refused with anything else in it', () => {
    const changes: [string, string][] = [
      ['<same begin="2" length="14"/>', '<equal begin="2" length="14"/>'],
      ['<same begin="2" length="14"/>', '<same begin="2" length="14" data="1"/>'],
      ['<same begin="2" length="14"/>', '<same begin="2"/>'],
      ['<same begin="2" length="14"/>', '<same begin="2" length="14"></same>'],
      ['<same begin="2" length="14"/>', '<same begin="2" length="0"/>'],
      ['<same begin="2" length="14"/>', '<same begin="1" length="14"/>'],
      ['<same begin="2" length="14"/>', '<same begin="2" begin="2" length="14"/>'],
      ['<same begin="2" length="14"/>', '<same begin="+2" length="14"/>'],
      ['<same begin="2" length="14"/>', '<same begin="02" length="14"/>'],
      ['<same begin="2" length="14"/>', '<same begin="2" length="0xe"/>'],
      ['<same begin="2" length="14"/>', "<same begin='2' length='14'/>"],
      ['<same begin="2" length="14"/>', '<same begin="2" length="14"/>text'],
      ['<same begin="2" length="14"/>', '<!-- --><same begin="2" length="14"/>'],
      ['<same begin="2" length="14"/>', '<same begin="2" length="&#49;4"/>'],
      ['length="1"/>\n  </diff>', 'length="9007199254740991"/>\n  </diff>'],
      ['length="1"/>\n  </diff>', 'length="99999999999999999999"/>\n  </diff>'],
      ['left="3"', 'left="4"'],
      ['right="7"', 'right="3"'],
      ['data_block_size="128"', 'data_block_size="100"'],
      ['data_block_size="128"', 'data_block_size="0"'],
      ['data_block_size="128"', 'data_block_size="99999999"'],
      ['uuid=""', 'uuid="" flags="1"'],
      ['<superblock', '<?xml version="1.0"?><superblock'],
      ['</superblock>', '</superblock><superblock>'],
      ['</superblock>', '</superblock>Usage: thin_delta'],
    ];
    for (const [from, to] of changes) {
      assert.ok(LISTING.includes(from), from);
      assertRefused(LISTING.replace(from, to), to);
    }
    assertRefused('', 'nothing');
    assertRefused('x'.repeat(100_000), 'no tag');
    assertRefused(`<${'a'.repeat(100_000)}>`, 'a long tag');
  });
});

/** By the definition: a block differs unless both have nothing, or the same place. */
function expected(left: Mapping, right: Mapping, blockSize: number): ByteRange[] {
  const blocks = [...new Set([...left.keys(), ...right.keys()])].sort((a, b) => a - b);
  const ranges: { offset: number; length: number }[] = [];
  for (const block of blocks.filter((each) => left.get(each) !== right.get(each))) {
    const last = ranges.at(-1);
    if (last !== undefined && last.offset + last.length === block * blockSize) last.length += blockSize;
    else ranges.push({ offset: block * blockSize, length: blockSize });
  }
  return ranges;
}

/** A volume's blocks, in runs; then a copy of it with some written anew and some dropped. */
function randomPair(random: Random): { left: Mapping; right: Mapping } {
  const left = new Map<number, number>();
  let data = 0;
  for (let run = random.int(40); run > 0; run--) {
    const start = random.int(random.once(5) ? 2 ** 30 : 3000);
    const length = random.between(1, 50);
    for (let i = 0; i < length; i++) left.set(start + i, data++);
  }
  const right = new Map(left);
  for (let edit = random.int(30); edit > 0; edit--) {
    const start = random.once(2) ? random.pick([...left.keys(), 0]) : random.int(4000);
    const dropped = random.once(3);
    for (let i = random.between(1, 20); i > 0; i--) {
      if (dropped) right.delete(start + i);
      else right.set(start + i, data++);
    }
  }
  return random.once(10) ? { left: new Map(), right } : { left, right };
}

const unpacked = makeScratch('thin-tools');
after(() => {
  removeScratch(unpacked);
});

for (const tools of [installedTools, await newerTools(unpacked)]) {
  describe(`thin_delta itself: ${tools.version}`, { skip: tools.skip || installedTools.skip }, () => {
    it('says of random devices what is true of them, in blocks of 64 KiB to 1 MiB (L2)', (t) => {
      const scratch = scratchFor(t);
      const random = new Random(`thin_delta ${tools.version}`);
      let changed = 0;
      for (let round = 0; round < 15; round++) {
        const sectors = random.pick([128, 512, 1024, 2048, 384]);
        const { left, right } = randomPair(random);
        const file = metadataFile(scratch, sectors, [left, right]);
        for (const [a, b, from, to] of [
          [1, 2, left, right],
          [2, 1, right, left],
        ] as const) {
          const { status, stdout } = tools.run('thin_delta', '--snap1', String(a), '--snap2', String(b), file);
          assert.equal(status, 0);
          const delta = read([stdout], a, b);
          assert.deepEqual(delta.ranges, expected(from, to, sectors * 512));
          assert.deepEqual([delta.leftBlocks, delta.rightBlocks], [from.size, to.size]);
          changed += delta.ranges.length;
        }
      }
      assert.ok(changed > 40, String(changed));
    });

    it('fails for a device that is not there, and for damaged metadata', (t) => {
      const file = metadataFile(scratchFor(t), 128, [new Map([[1, 1]]), new Map([[2, 2]])]);
      assert.notEqual(tools.run('thin_delta', '--snap1', '1', '--snap2', '9', file).status, 0);
      assert.notEqual(tools.run('thin_delta', '--snap1', '1', '--snap2', '2', '/dev/null').status, 0);
    });
  });
}
