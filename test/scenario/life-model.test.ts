// A model of an archive beside the real one: for each volume, what it was at each session that must still be there.
// Random changes, sends, prunings, tags, renames and deletions; after each, every session is restored and compared (I1,
// I4).

import assert from 'node:assert/strict';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { deleteDocument, pruneDocument, renameDocument, tagDocument } from './documents.ts';
import { editAtRandom } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';
import { limit } from '../fixtures/limits.ts';

const btrfs = ground('btrfs');
const CHUNK = 64 * 1024;
const LARGEST = 12 * CHUNK;

/** Milliseconds for the steps of one run. */
const TIME = 20_000;

for (const encryption of ['on', 'off'] as const) {
  test(`I1 I4 a random life, encryption ${encryption}`, { skip: btrfs.skip, timeout: limit(200_000) }, async (t) => {
    const random = new Random(`model ${encryption}`);
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: btrfs.folder() }] });
    for (const name of ['a.img', 'b.img']) lab.write(name, random.bytes(random.between(1, LARGEST)));
    await lab.init('--chunk-size', '64K', '--encryption', encryption);
    await lab.send('--full');
    const steps: string[] = [];
    const protectedSessions = new Set<string>();
    const until = Date.now() + TIME;
    for (let step = 0; Date.now() < until || step < 4; step++) {
      const what =
        step < 2 ? 'send' : random.pick(['send', 'send', 'send', 'prune', 'policy', 'tag', 'rename', 'delete']);
      const volume = random.pick([...lab.kept.keys()]);
      steps.push(`${what} ${volume}`);
      await act(what, volume);
      try {
        await lab.compareAll();
      } catch (error) {
        throw new Error(`after ${steps.join(', ')}`, { cause: error });
      }
    }
    lab.assertNothingStray();
    await lab.verifyAll();
    t.diagnostic(`${steps.length} steps, ${lab.compared} sessions compared: ${steps.join(', ')}`);

    async function act(what: string, volume: string): Promise<void> {
      const sessions = [...lab.kept.get(volume)!.keys()];
      const session = random.pick(sessions);
      switch (what) {
        case 'send': {
          for (const each of lab.kept.keys()) {
            if (random.once(3)) continue;
            const edits = random.between(1, 3);
            for (let edit = 0; edit < edits; edit++) editAtRandom(lab.path(each), random, LARGEST);
          }
          if (random.once(3)) await lab.monitor();
          await lab.send('--full');
          return;
        }
        case 'prune': {
          const goes = sessions.slice(0, -1).includes(session) && !protectedSessions.has(`${volume} ${session}`);
          const ran = await lab.run(['--json', 'prune', volume, '--session', session]);
          if (goes) {
            const { volumes } = ran.expect(0).json(pruneDocument);
            assert.deepEqual(
              volumes[0]!.sessions.filter(({ pruned }) => pruned).map((each) => each.session),
              [session],
            );
            lab.pruned(volume, [session]);
          } else ran.expect(1);
          return;
        }
        case 'policy': {
          const { volumes } = await lab.ask(pruneDocument, [
            'prune',
            '--keep-last',
            String(random.between(1, 3)),
            '--yes',
          ]);
          for (const { name, sessions: judged } of volumes) {
            const gone = judged.filter(({ pruned }) => pruned).map((each) => each.session);
            assert.ok(gone.every((each) => !protectedSessions.has(`${name} ${each}`)));
            assert.ok(!gone.includes([...lab.kept.get(name)!.keys()].at(-1)!));
            lab.pruned(name, gone);
          }
          return;
        }
        case 'tag': {
          const key = `${volume} ${session}`;
          const how = protectedSessions.has(key) ? '--remove' : '--add';
          await lab.ask(tagDocument, ['tag', volume, '--session', session, how, 'protected']);
          if (!protectedSessions.delete(key)) protectedSessions.add(key);
          return;
        }
        case 'rename': {
          const to = `${volume.slice(0, 1)}${steps.length}.img`;
          const moveSource = () => renameSync(lab.path(volume), join(lab.pools[0]!.path, to));
          const early = random.once(2);
          if (early) moveSource();
          await lab.ask(renameDocument, ['rename', volume, to]);
          if (!early) moveSource();
          lab.kept.set(to, lab.kept.get(volume)!);
          lab.kept.delete(volume);
          for (const each of sessions)
            if (protectedSessions.delete(`${volume} ${each}`)) protectedSessions.add(`${to} ${each}`);
          return;
        }
        default: {
          const guarded = sessions.some((each) => protectedSessions.has(`${volume} ${each}`));
          const ran = await lab.run(['--json', 'delete', volume, '--yes']);
          if (guarded) {
            ran.expect(5);
            return;
          }
          ran.expect(0).json(deleteDocument);
          lab.kept.delete(volume);
          assert.ok(existsSync(lab.path(volume)), 'the volume itself stays');
          await lab.send('--full');
        }
      }
    }
  });
}
