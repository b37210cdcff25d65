import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { ThinDumpReader, type ThinDump } from '../../../../dom0-agent/source/lvm-thin/thin-dump.ts';
import { SparsebakError } from '../../../../shared/errors.ts';
import { Random } from '../../../fixtures/random.ts';
import { makeScratch, removeScratch, scratchFor } from '../../../fixtures/scratch.ts';
import { installedTools, metadataFile, newerTools } from './thin-tools.ts';

const LISTING = `<superblock uuid="" time="5" transaction="7" flags="0" version="2" data_block_size="128" nr_data_blocks="0">
  <device dev_id="7" mapped_blocks="17" transaction="6" creation_time="5" snap_time="5">
    <range_mapping origin_begin="2" data_begin="2" length="16" time="0"/>
    <single_mapping origin_block="300" data_block="400" time="3"/>
  </device>
</superblock>`;

function read(pieces: readonly string[]): ThinDump {
  const reader = new ThinDumpReader();
  for (const piece of pieces) reader.text(piece);
  return reader.end();
}

function assertRefused(text: string): void {
  assert.throws(
    () => read([text]),
    (error) => error instanceof SparsebakError && error.code === 'source',
    text,
  );
}

describe('what thin_dump says (L1)', () => {
  it('is where a device has something mapped', () => {
    const dump = read([LISTING]);
    assert.deepEqual(dump.ranges, [
      { offset: 131072, length: 16 * 65536 },
      { offset: 300 * 65536, length: 65536 },
    ]);
    assert.deepEqual([...dump.devices.values()], [{ id: 7, mappedBlocks: 17, transaction: 6 }]);
    assert.equal(dump.blocks, 17);
    assert.deepEqual(read([LISTING.replace(' flags="0"', '')]), dump);
    assert.deepEqual(read(Array.from(LISTING)), dump);
  });

  it('is refused wherever it ends too early, and with anything else in it', () => {
    for (let length = 0; length < LISTING.length; length++) assertRefused(LISTING.slice(0, length));
    const changes: [string, string][] = [
      ['<single_mapping', '<ref name="1"/><single_mapping'],
      ['<device', '<def name="1"></def><device'],
      ['flags="0"', 'flags="1"'],
      ['version="2"', 'version="3"'],
      ['snap_time="5"', 'snap_time="5" more="1"'],
      ['origin_block="300"', 'origin_block="3"'],
      ['length="16"', 'length="0"'],
      ['length="16"', 'length="9007199254740991"'],
      [
        '</device>',
        '</device><device dev_id="7" mapped_blocks="0" transaction="1" creation_time="5" snap_time="5"></device>',
      ],
      ['</superblock>', '</superblock><superblock>'],
    ];
    for (const [from, to] of changes) {
      assert.ok(LISTING.includes(from), from);
      assertRefused(LISTING.replace(from, to));
    }
  });

  it('has no mappings of two devices at once', () => {
    const device = LISTING.slice(LISTING.indexOf('  <device'), LISTING.indexOf('</superblock>'));
    assertRefused(LISTING.replace('</superblock>', `${device.replace('dev_id="7"', 'dev_id="8"')}</superblock>`));
  });
});

const unpacked = makeScratch('thin-tools');
after(() => {
  removeScratch(unpacked);
});

for (const tools of [installedTools, await newerTools(unpacked)]) {
  describe(`thin_dump itself: ${tools.version}`, { skip: tools.skip || installedTools.skip }, () => {
    it('lists devices, and the mappings of one', (t) => {
      const random = new Random('thin_dump');
      const mappings = Array.from({ length: 5 }, (_, device) => {
        const blocks = Array.from({ length: random.int(300) }, () => random.int(1000));
        return new Map([...new Set(blocks)].map((block, index) => [block, device * 1000 + index]));
      });
      const file = metadataFile(scratchFor(t), 128, [...mappings, new Map()]);
      const { devices } = read([tools.run('thin_dump', '--skip-mappings', file).stdout]);
      assert.equal(devices.size, 6);
      for (const [index, mapping] of [...mappings, new Map<number, number>()].entries()) {
        const { ranges, blocks } = read([tools.run('thin_dump', '--dev-id', String(index + 1), file).stdout]);
        assert.equal(devices.get(index + 1)?.mappedBlocks, mapping.size);
        assert.equal(devices.get(index + 1)?.transaction, index);
        assert.equal(blocks, mapping.size);
        for (const block of mapping.keys()) {
          const at = block * 65536;
          assert.ok(ranges.some(({ offset, length }) => offset <= at && at < offset + length));
        }
      }
    });

    it('says of a device that is not there that there is none', (t) => {
      const file = metadataFile(scratchFor(t), 128, [new Map([[1, 1]])]);
      const { status, stdout } = tools.run('thin_dump', '--dev-id', '9', file);
      if (status === 0) assert.equal(read([stdout]).devices.size, 0);
    });
  });
}
