// Everything that `npm run package` makes, also what has Node inside, made twice: the second time from a copy in
// another folder, by another user's settings. The other tests do it without Node, since that takes a minute.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { buildPackages, buildSkip, copyCheckout } from './built.ts';

test(
  'all packages are byte for byte the same from another folder',
  { skip: buildSkip(), timeout: 900_000 },
  async (t) => {
    const scratch = makeScratch('packages');
    t.after(() => removeScratch(scratch));
    const built = await buildPackages(join(scratch, 'first'));
    const checkout = copyCheckout(join(scratch, 'another/folder'));
    const again = await buildPackages(join(scratch, 'second'), [], {
      checkout,
      env: { TZ: 'Asia/Tokyo', HOME: scratch },
    });
    assert.deepEqual(again.files, built.files);
    const kinds = ['.rpm', '.deb', '.tar.xz', '.cdx.json'].map((end) =>
      built.files.filter((name) => name.endsWith(end)),
    );
    assert.deepEqual(
      kinds.map(({ length }) => length),
      [4, 3, 1, 1],
    );
    for (const name of built.files) {
      assert.ok(readFileSync(join(again.folder, name)).equals(readFileSync(join(built.folder, name))), name);
    }
  },
);
