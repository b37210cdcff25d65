// dom0's state lost, damaged, older or lying; its snapshot replaced; agents killed at each step of writing it; no space
// for it. Whatever happened, the next send finds it out and the restore is right (I1, I8, I9, G1, G2, G3, L2, L3, L11).

import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { DeltaMap } from '../../dom0-agent/capture/delta-map.ts';
import { PairingStore } from '../../dom0-agent/capture/pairing-store.ts';
import { Random } from '../fixtures/random.ts';
import { sendDocument, type SentVolume } from './documents.ts';
import { writeAt } from './edits.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';
import { limit } from '../fixtures/limits.ts';

const xfs = ground('xfs');
const { skip } = xfs;
const CHUNK = 64 * 1024;
const NAME = 'work/private.img';

async function sentOnce(t: TestContext, random: Random, chunks = 30): Promise<BackupSystem> {
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'reflink', path: xfs.folder() }] });
  lab.write(NAME, random.bytes(chunks * CHUNK - 100));
  await lab.init('--chunk-size', '64K');
  await lab.send('--full');
  return lab;
}

function change(lab: BackupSystem, random: Random, chunks = 29): void {
  writeAt(lab.path(NAME), random.int(chunks) * CHUNK, random.bytes(2000));
}

/** A send without any flag; its restore must be right. */
async function sendAndCompare(lab: BackupSystem): Promise<{ volume: SentVolume; stderr: string }> {
  const ran = await lab.run(['send', '--json']);
  const sent = ran.expect(0).json(sendDocument);
  lab.keep(sent);
  assert.ok((await lab.restore(NAME)).equals(readFileSync(lab.path(NAME))), 'the newest session is what the volume is');
  lab.assertNothingStray();
  return { volume: only(sent.volumes, NAME), stderr: ran.stderr };
}

describe('dom0’s state of a volume', { skip }, () => {
  const pairing = (lab: BackupSystem) => join(lab.pairings()[0]!.folder, 'pairing.json');
  const damages: Record<string, (lab: BackupSystem) => void> = {
    'is lost': (lab) => rmSync(join(lab.stateDir, 'volumes'), { recursive: true }),
    'has lost its pairing.json': (lab) => rmSync(pairing(lab)),
    'has an empty pairing.json': (lab) => writeFileSync(pairing(lab), ''),
    'has a torn pairing.json': (lab) => writeFileSync(pairing(lab), readFileSync(pairing(lab)).subarray(0, 200)),
    'has a pairing.json with one digit changed': (lab) => {
      const text = readFileSync(pairing(lab), 'utf8');
      writeFileSync(
        pairing(lab),
        text.replace(/"size":(\d)/, (_, digit: string) => `"size":${String((Number(digit) + 1) % 10)}`),
      );
    },
    'has lost its map': (lab) => {
      for (const { folder, maps } of lab.pairings()) for (const { file } of maps) rmSync(join(folder, file));
    },
    'has a map with one bit changed': (lab) => {
      for (const { folder, maps } of lab.pairings()) {
        for (const { file } of maps) {
          const bytes = readFileSync(join(folder, file));
          bytes[33]! ^= 4;
          writeFileSync(join(folder, file), bytes);
        }
      }
    },
    'has lost its tick': (lab) => {
      for (const file of lab.snapshots()) rmSync(file);
    },
  };

  test('I1 G3 that is lost or damaged costs a full compare, and nothing else', async (t) => {
    const random = new Random('damage');
    const lab = await sentOnce(t, random);
    let compares = 0;
    for (const [what, damage] of Object.entries(damages)) {
      for (const monitored of [false, true]) {
        change(lab, random);
        damage(lab);
        if (monitored) await lab.monitor();
        const { volume } = await sendAndCompare(lab);
        assert.deepEqual([volume.kind, volume.compared], ['incremental', true], what);
        compares++;
        if (monitored) continue;
        change(lab, random);
        const next = await lab.send();
        assert.equal(only(next.volumes, NAME).compared, false, `after that it is paired again: ${what}`);
      }
    }
    await lab.verifyAll();
    t.diagnostic(`${compares} full compares`);
  });

  test('I1 G3 that is an older copy is found out', async (t) => {
    const random = new Random('older state');
    const lab = await sentOnce(t, random);
    const volumes = join(lab.stateDir, 'volumes');
    const copy = join(lab.folder, 'older');
    cpSync(volumes, copy, { recursive: true });
    for (let sends = 0; sends < 2; sends++) {
      change(lab, random);
      await lab.send();
    }
    change(lab, random);
    rmSync(volumes, { recursive: true });
    renameSync(copy, volumes);
    const { volume } = await sendAndCompare(lab);
    assert.deepEqual([volume.kind, volume.compared], ['incremental', true]);
  });

  test('L3 whose tick was replaced by another file of its name is found out', async (t) => {
    const random = new Random('impostor');
    const lab = await sentOnce(t, random);
    change(lab, random);
    const [tick] = lab.snapshots();
    const { mode, atime, mtime, size } = statSync(tick!);
    // The live file's own content: over it the delta would be empty, and the change lost.
    rmSync(tick!);
    spawnSync('cp', ['--reflink=always', lab.path(NAME), tick!]);
    chmodSync(tick!, mode & 0o777);
    utimesSync(tick!, atime, mtime);
    assert.equal(statSync(tick!).size, size);
    const { volume } = await sendAndCompare(lab);
    assert.deepEqual([volume.kind, volume.compared], ['incremental', true]);
  });

  test('L2 whose map leaves a change out is found out: at once in a small volume', async (t) => {
    const random = new Random('lying map');
    const lab = await sentOnce(t, random);
    change(lab, random);
    await lab.monitor();
    await plantEmptyMap(lab);
    const { volume, stderr } = await sendAndCompare(lab);
    assert.deepEqual([volume.kind, volume.compared, volume.chunks], ['incremental', true, 1]);
    assert.match(stderr, /content changed where the delta says it did not/);
  });

  test('L2 whose map leaves a change out is found out: by the rolling re-read in a large one', async (t) => {
    const random = new Random('lying map of a large volume');
    const chunks = 1024;
    const lab = await sentOnce(t, random, chunks);
    change(lab, random, chunks - 1);
    await lab.monitor();
    await plantEmptyMap(lab);
    let sends = 0;
    for (let found = false; !found;) {
      assert.ok(++sends <= 8, 'the re-read went once around');
      const ran = await lab.run(['send', '--json']);
      const volume = only(ran.expect(0).json(sendDocument).volumes, NAME);
      found = volume.compared;
      assert.equal(volume.kind, found ? 'incremental' : 'unchanged');
      assert.equal(ran.stderr.includes('content changed where'), found, 'loud');
    }
    assert.ok((await lab.restore(NAME)).equals(readFileSync(lab.path(NAME))));
    t.diagnostic(`found by send ${sends}`);
  });
});

/** A map that is whole, has its right hash, and does not tell what changed. */
async function plantEmptyMap(lab: BackupSystem): Promise<void> {
  const store = new PairingStore(lab.stateDir);
  const state = store.stateOf('main', NAME);
  const { size } = statSync(lab.path(NAME));
  const [ref] = state.maps;
  assert.ok(ref !== undefined && state.maps.length === 1);
  await store.save({ ...state, maps: [await store.writeMap(state, ref, DeltaMap.empty(CHUNK, size))] });
}

describe('dom0’s state of the archive', { skip }, () => {
  const folderOf = (lab: BackupSystem) => join(lab.stateDir, 'archives', 'laptop');

  test('G3 A5 whose pin is older than the archive is exit 4, until the user accepts it', async (t) => {
    const random = new Random('older pin');
    const lab = await sentOnce(t, random);
    const older = readFileSync(join(folderOf(lab), 'current'));
    change(lab, random);
    await lab.send();
    writeFileSync(join(folderOf(lab), 'current'), older);
    change(lab, random);
    (await lab.run(['send'])).expect(4);
    (await lab.run(['send', '--accept-rollback'])).expect(0);
    const { volume } = await sendAndCompare(lab);
    assert.equal(volume.kind, 'unchanged');
  });

  test('G3 A5 without its pin is exit 4 on the writer, until the user accepts it', async (t) => {
    const random = new Random('no pin');
    const lab = await sentOnce(t, random);
    change(lab, random);
    rmSync(join(folderOf(lab), 'current'));
    assert.match((await lab.run(['send'])).expect(4).stderr, /--accept-rollback/);
    (await lab.run(['send', '--accept-rollback'])).expect(0);
    await sendAndCompare(lab);
  });

  for (const [file, content] of [
    ['settings.json', ''],
    ['settings.json', '{"v":2}'],
    ['record', 'x'],
    ['current', 'x'],
  ] as const) {
    test(`G3 with a damaged ${file} (${content}) is said, with what to do`, async (t) => {
      const lab = await sentOnce(t, new Random('damaged archive state'));
      writeFileSync(join(folderOf(lab), file), content);
      const ran = (await lab.run(['send'])).expect(4);
      assert.match(ran.stderr, /→/, 'what to do next');
    });
  }

  test('G3 without its burned sequence goes on above what it knows', async (t) => {
    const random = new Random('no sequence');
    const lab = await sentOnce(t, random);
    for (const damage of [
      () => rmSync(join(folderOf(lab), 'sequence')),
      () => writeFileSync(join(folderOf(lab), 'sequence'), 'x'),
    ]) {
      change(lab, random);
      damage();
      await sendAndCompare(lab);
    }
    const { volumes } = await lab.list();
    const sequences = volumes[0]!.sessions.map(({ sequence }) => sequence);
    assert.deepEqual(
      sequences,
      [...new Set(sequences)].sort((a, b) => a - b),
      'rising, none twice',
    );
  });
});

describe(
  'dom0’s state on its way to the disk',
  { skip: skip || !existsSync('/usr/bin/strace') ? skip || 'machine: no strace' : false },
  () => {
    /**
     * Options of a run in which a thread's nth call is the last, or fails. The agent makes its volumes' state durable
     * in a thread of its own, all else in its first; without `all` only that is looked at. What it starts is not.
     */
    const injecting = (call: string, what: string, all: boolean) => ({
      env: { UV_THREADPOOL_SIZE: '1' },
      wrapper: [
        ...['strace', '-qq', '-o', '/dev/null', ...(all ? ['-f', '-b', 'execve'] : [])],
        ...['-e', `trace=${call}`, '-e', `inject=${call}:${what}`],
      ],
    });

    for (const [call, step, all] of [
      ['rename', 1, false],
      ['rename', 1, true],
      ['fsync', 2, false],
      ['fsync', 2, true],
    ] as const) {
      const title = `G1 I8 I9 L11 killed at each ${call} of ${all ? 'any thread' : 'the first thread'} of a send`;
      test(title, { timeout: limit(300_000) }, async (t) => {
        const random = new Random(title);
        const lab = await sentOnce(t, random);
        const points: number[] = [];
        for (let when = 1; ; when += step) {
          change(lab, random);
          const before = readFileSync(lab.path(NAME));
          const ran = await lab.run(['send'], injecting(call, `signal=SIGKILL:when=${String(when)}`, all));
          if (ran.status === 0) break;
          points.push(when);
          ran.expectKilled();
          change(lab, random);
          const { volume } = await sendAndCompare(lab);
          assert.deepEqual([volume.kind, volume.compared], ['incremental', false], `at ${call} ${String(when)}`);
          const sessions = (await lab.list()).volumes[0]!.sessions.map(({ session }) => session);
          const between = sessions.at(-2)!;
          if (!lab.kept.get(NAME)!.has(between)) {
            assert.ok((await lab.restore(NAME, between)).equals(before), `${between}, of the killed send`);
          }
        }
        t.diagnostic(`killed at ${points.join(', ')}`);
        assert.ok(points.length >= 5);
      });
    }

    test(
      'G2 no space at each write of the state fails the send, and the next one is right',
      { timeout: limit(300_000) },
      async (t) => {
        const random = new Random('no space for state');
        const lab = await sentOnce(t, random);
        let points = 0;
        for (let when = 1; ; when += 2, points++) {
          change(lab, random);
          const failing = injecting('fsync', `error=ENOSPC:when=${String(when)}`, true);
          const ran = await lab.run(['send', '--json'], failing);
          if (ran.status === 0) break;
          assert.ok([1, 3].includes(ran.status ?? -1), ran.describe());
          assert.match(ran.stdout + ran.stderr, /ENOSPC|no space/);
          change(lab, random);
          await sendAndCompare(lab);
        }
        t.diagnostic(`${points} points`);
        assert.ok(points >= 4);
        for (const name of readdirSync(join(lab.stateDir, 'archives', 'laptop')))
          assert.ok(!name.endsWith('.new'), name);
      },
    );
  },
);

describe('two agents', { skip }, () => {
  test('G7 the second waits, says so, and goes on; or gives up with exit 6', async (t) => {
    const random = new Random('two agents');
    const lab = await sentOnce(t, random);
    const [reached, go] = [join(lab.folder, 'reached'), join(lab.folder, 'go')];
    change(lab, random);
    const hold = { from: 'receiver', what: 'done to begin', action: 'hold', reached, go } as const;
    const first = lab.start(['send', '--json'], lab.interposed(hold));
    const whatWasSent = readFileSync(lab.path(NAME));
    while (!existsSync(reached)) await new Promise((resolve) => setTimeout(resolve, 10));

    const gaveUp = (await lab.run(['send', '--lock-wait', '1'])).expect(6);
    assert.match(gaveUp.stderr, /waiting for another command/);
    assert.match(gaveUp.stderr, /--lock-wait/);
    (await lab.run(['send', '--lock-wait', '0'])).expect(6);

    // A monitor step needs dom0's state for a moment only, and a send under way does not hold it.
    change(lab, random);
    const { volumes } = await lab.monitor();
    assert.equal(volumes[0]?.kind, 'monitored');
    await lab.list();
    await lab.restore(NAME);

    const second = lab.start(['send', '--json']);
    let said = '';
    await new Promise<void>((resolve) => {
      second.child.stderr!.on('data', (text: string) => {
        said += text;
        if (said.includes('waiting for another command')) resolve();
      });
    });
    writeFileSync(go, '');
    const one = (await first.ended).expect(0).json(sendDocument);
    const two = (await second.ended).expect(0).json(sendDocument);
    assert.deepEqual([only(one.volumes, NAME).kind, only(two.volumes, NAME).kind], ['incremental', 'incremental']);
    assert.equal(only(two.volumes, NAME).compared, false);
    assert.ok((await lab.restore(NAME, one.session!)).equals(whatWasSent));
    assert.ok((await lab.restore(NAME, two.session!)).equals(readFileSync(lab.path(NAME))));
    lab.assertNothingStray();
  });

  test('G7 G1 a signal ends the wait', async (t) => {
    const random = new Random('signal while waiting');
    const lab = await sentOnce(t, random);
    const [reached, go] = [join(lab.folder, 'reached'), join(lab.folder, 'go')];
    change(lab, random);
    const first = lab.start(
      ['send'],
      lab.interposed({ from: 'receiver', what: 'done to begin', action: 'hold', reached, go }),
    );
    while (!existsSync(reached)) await new Promise((resolve) => setTimeout(resolve, 10));
    const second = lab.start(['send', '--lock-wait', '3600']);
    let said = '';
    second.child.stderr!.on('data', (text: string) => {
      const waited = said.includes('waiting for another command');
      said += text;
      // Only once: a second signal ends a process at once, and one that is about to end already by the signal itself.
      if (!waited && said.includes('waiting for another command')) second.child.kill('SIGTERM');
    });
    (await second.ended).expect(130);
    writeFileSync(go, '');
    (await first.ended).expect(0);
  });
});
