import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { WriteBack } from '../../../dom0-agent/source/write-back.ts';
import { scratchFor } from '../../fixtures/scratch.ts';

it('S4 a write-back that failed on the way fails the end, although the last one succeeds', async (t) => {
  const path = join(scratchFor(t), 'file');
  const fd = openSync(path, 'w');
  const writeBack = new WriteBack(fd);
  closeSync(fd);
  writeBack.wrote(2 ** 30);
  await writeBack.stop();
  // The lowest free number is given again: from here on it can be synced.
  assert.equal(openSync(path, 'w'), fd);
  await assert.rejects(writeBack.end(), { code: 'EBADF' });
  await new WriteBack(fd).end();
  closeSync(fd);
});
