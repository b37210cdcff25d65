import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_TAGS, MAX_TAG_LENGTH } from '../../../dom0-agent/content/catalogue.ts';
import { ArchiveContent } from '../../../dom0-agent/content/archive-content.ts';
import { checkTags } from '../../../dom0-agent/maintain/check-tags.ts';
import { SESSION, catalogueOf, fault, recordOf } from '../content/objects.ts';

const check = (...tags: string[]) => {
  checkTags(tags);
};

/** Whether a catalogue can have them. */
function canBeSealed(tags: string[]): boolean {
  const record = recordOf();
  const [volume, ...others] = catalogueOf(record.archive).volumes;
  const volumes = [{ ...volume!, tags: { [SESSION]: tags } }, ...others];
  try {
    new ArchiveContent(record).sealCatalogue(catalogueOf(record.archive, { volumes }));
    return true;
  } catch {
    return false;
  }
}

test('exactly what a catalogue can hold is taken, so that no send fails at its end for its tags', () => {
  const longest = 'é'.repeat(MAX_TAG_LENGTH / 2);
  const most = Array.from({ length: MAX_TAGS }, (_, at) => `tag ${at}`);
  for (const tags of [[longest], most, ['a', 'ü', '日本']]) {
    check(...tags);
    assert.ok(canBeSealed(tags));
  }
  for (const tags of [[''], ['a', ''], [`${longest}x`], [...most, 'one more']]) {
    assert.throws(() => {
      check(...tags);
    }, fault('usage'));
    assert.ok(!canBeSealed(tags));
  }
});
