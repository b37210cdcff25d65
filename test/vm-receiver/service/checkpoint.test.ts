import assert from 'node:assert/strict';
import { chmodSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { scratchFor } from '../../fixtures/scratch.ts';
import { CHUNK, RANGE, VOLUME, bytes, pairingId } from '../store/small-volumes.ts';
import { begin, open, withReceivers } from '../wire-session.ts';

test('I2: chunks are taken while a checkpoint is made durable, and nothing is answered before it is', (t) =>
  withReceivers(async ({ root, start }) => {
    const [folder, tmp] = [scratchFor(t), join(root, 'laptop/volumes', VOLUME, `.tmp-${pairingId(1)}`)];
    const [begun, hold] = [join(folder, 'begun'), join(folder, 'hold')];
    const slow = `#!/bin/sh\n>'${begun}'\nwhile [ -e '${hold}' ]; do sleep 0.02; done\n`;
    writeFileSync(join(folder, 'sync'), slow);
    chmodSync(join(folder, 'sync'), 0o755);
    const peer = await open(start({ env: { PATH: `${folder}${delimiter}${process.env.PATH ?? ''}` } }));
    await peer.done(begin());
    // So many that one sync of the file system is cheaper than all of theirs.
    for (let chunk = 0; chunk < 100; chunk++)
      await peer.push({ t: 'chunk', address: chunk * CHUNK, data: bytes('near') });
    writeFileSync(hold, '');
    const checkpoint = peer.ask({ t: 'checkpoint', address: RANGE });
    await peer.push({ t: 'chunk', address: 1500 * CHUNK, data: bytes('far') });
    const commit = peer.ask({ t: 'commit', head: bytes('head 1') });

    await until(() => existsSync(begun) && rangesIn(tmp) === 2);
    assert.equal(existsSync(join(tmp, 'checkpoint')), false);
    assert.deepEqual(peer.received, []);

    rmSync(hold);
    const answers = [(await peer.answerTo(checkpoint)).closing, (await peer.answerTo(commit)).closing];
    assert.deepEqual(
      answers.map(({ t }) => t),
      ['done', 'done'],
    );
    assert.equal((await peer.bye()).code, 0);
  }));

function rangesIn(folder: string): number {
  return readdirSync(folder).filter((name) => /^[0-9a-f]{10}$/.test(name)).length;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
}
