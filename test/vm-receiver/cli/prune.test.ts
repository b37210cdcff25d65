import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { nextSessionName, type SessionName } from '../../../shared/archive/names.ts';
import { systemDisk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { MAIN } from '../peer.ts';
import { CHUNK, VOLUME, bytes, impatient, newArchive, pairingId } from '../store/small-volumes.ts';

const TIMES = ['2026-11-01T02:00:00Z', '2026-11-01T14:00:00Z', '2026-11-02T02:00:00Z', '2026-11-03T02:00:00Z'];
const NAMES = TIMES.map((time) => nextSessionName(Date.parse(time), undefined));

function receiver(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
}

/** A volume whose every session writes one chunk of 1000 bytes again. */
async function fourSessions(t: TestContext): Promise<{ root: string; sessions: () => string[] }> {
  const root = scratchFor(t);
  const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  await store.create(newArchive(), impatient);
  const archive = await store.open(newArchive().name, impatient);
  let base: SessionName | null = null;
  for (const [number, session] of NAMES.entries()) {
    const pairing = pairingId(number);
    const send = await archive.begin({
      volume: VOLUME,
      pairing,
      base,
      session,
      size: CHUNK,
      resume: false,
      name: null,
    });
    send.chunk(0, Buffer.alloc(1000, number));
    await send.commit(bytes('head'), [bytes('index')]);
    base = session;
  }
  await archive.close();
  committedAt(root, TIMES);
  return { root, sessions: () => readdirSync(join(root, 'laptop/volumes', VOLUME)).sort() };
}

/** As if the sessions had been committed then; undefined for those of an archive that is older than this note. */
function committedAt(root: string, times: readonly (string | undefined)[]): void {
  for (const [at, time] of times.entries()) {
    const path = join(root, 'laptop/volumes', VOLUME, NAMES[at]!, 'stats');
    const stats = JSON.parse(readFileSync(path, 'utf8')) as object;
    const committed = time === undefined ? undefined : Date.parse(time);
    writeFileSync(path, JSON.stringify({ ...stats, committed }));
  }
}

const FREED = 1000 + 'headindex'.length;

test('prune tells what would go, and then it goes', async (t) => {
  const { root, sessions } = await fourSessions(t);
  const call = ['prune', '--root', root, '--keep-daily', '2', '--json'];
  const told = receiver(...call, '--dry-run');
  assert.equal(told.status, 0, told.stderr);
  const reasons = [[], [], ['daily'], ['daily', 'newest']];
  const document = (dryRun: boolean) => ({
    dryRun,
    archives: [
      {
        archive: 'laptop',
        shortBytes: null,
        volumes: [
          {
            id: VOLUME,
            name: null,
            sessions: NAMES.map((session, at) => {
              const time = new Date(TIMES[at]!).toISOString();
              return { session, time, reasons: reasons[at], pruned: !dryRun && at < 2 };
            }),
            freedBytes: 2 * FREED,
            error: null,
          },
        ],
        freedBytes: 2 * FREED,
      },
    ],
  });
  assert.deepEqual(JSON.parse(told.stdout), document(true));
  assert.deepEqual(sessions(), NAMES);
  const shown = receiver('prune', '--root', root, '--keep-daily', '2', '--dry-run').stdout;
  assert.match(shown, /^laptop: 2 of 4 sessions would be pruned, 1\.97 KiB would be freed$/m);
  assert.match(shown, /^ {2}2026-11-01 Sun {2}-02:00:00 {2}-14:00:00$/m);
  assert.match(shown, /^ {2}2026-11-03 Tue {2}\+02:00:00$/m);
  assert.deepEqual(JSON.parse(receiver(...call).stdout), document(false));
  assert.deepEqual(sessions(), NAMES.slice(2));
  assert.match(
    receiver('prune', '--root', root, '--keep-daily', '2').stdout,
    /^laptop: 0 of 2 sessions pruned, 0 B freed$/m,
  );
});

test('the policy is the configuration’s, and its rules stand above what is asked', async (t) => {
  const { root, sessions } = await fourSessions(t);
  const file = join(scratchFor(t), 'receiver.toml');
  const withConfig = (text: string, ...args: string[]) => {
    writeFileSync(file, `root = "${root}"\n${text}`);
    return receiver('--config', file, 'prune', ...args);
  };
  assert.equal(withConfig('').status, 2, 'nothing says what to keep');
  assert.match(withConfig('[retention]\n').stderr, /there is no retention policy/);
  withConfig('min_keep = 3\n[retention]\nkeep_last = 1\n');
  assert.deepEqual(sessions(), NAMES.slice(1));
  assert.equal(withConfig('[retention]\nkeep_within = "24h"\n').status, 0);
  assert.deepEqual(sessions(), NAMES.slice(2));
  for (const wrong of ['min_keep = 0', 'autoprune = "now"', 'low_space = "much"', '[retention]\nkeep_dayly = 1']) {
    const { status, stderr } = withConfig(`${wrong}\n`, '--keep-last', '1');
    assert.equal(status, 2, wrong);
    assert.match(stderr, /receiver\.toml: (min_keep|autoprune|low_space|keep_dayly)/);
  }
  for (const wrong of [['--keep-daily', '-1'], ['--keep-within', 'long'], ['--keep-tag', 'x'], ['laptop']]) {
    assert.equal(withConfig('', ...wrong).status, 2, wrong.join(' '));
  }
});

test('where the disk does not run low nothing goes, if so configured or asked', async (t) => {
  const { root, sessions } = await fourSessions(t);
  const file = join(scratchFor(t), 'receiver.toml');
  const withConfig = (text: string, ...args: string[]) => {
    writeFileSync(file, `root = "${root}"\n${text}\n[retention]\nkeep_last = 1\n`);
    return receiver('--config', file, 'prune', ...args);
  };
  assert.match(withConfig('autoprune = "space"\nlow_space = "0%"').stdout, /does not run low, nothing is pruned/);
  assert.match(withConfig('low_space = "1"', '--if-low', '--dry-run').stdout, /does not run low/);
  assert.deepEqual(sessions(), NAMES);
  assert.match(
    withConfig('autoprune = "space"\nlow_space = "100%"', '--dry-run').stdout,
    /3 of 4 sessions would be pruned/,
  );
  const half = withConfig('autoprune = "space"\nlow_space = "100%"');
  assert.equal(half.status, 3, 'the oldest half, since nobody said yes to more');
  assert.match(half.stdout, /2 of 4 sessions pruned/);
  assert.match(half.stderr, /would remove 3 of its 4 sessions at once/);
  assert.deepEqual(sessions(), NAMES.slice(2));
  assert.match(withConfig('autoprune = "space"\nlow_space = "100%"', '--yes').stdout, /1 of 2 sessions pruned/);
  assert.deepEqual(sessions(), NAMES.slice(3));
});

test('S11: what a killed prune or delete left is finished, and a volume that cannot be pruned is told', async (t) => {
  const { root, sessions } = await fourSessions(t);
  const volumes = join(root, 'laptop/volumes');
  const left = join(volumes, `.deleted-${'ef'.repeat(16)}`);
  mkdirSync(left);
  assert.equal(receiver('prune', '--root', root, '--keep-last', '4').status, 0);
  assert.deepEqual(readdirSync(volumes), [VOLUME]);
  writeFileSync(join(volumes, VOLUME, NAMES[3]!, 'head'), '');
  const { status, stdout, stderr } = receiver('prune', '--root', root, '--keep-last', '1', '--yes', '--json');
  assert.equal(status, 3);
  assert.match(stderr, /head of the newest session, is damaged/);
  assert.deepEqual(sessions(), NAMES, 'what cannot be pruned to its end is not begun');
  const [archive] = (JSON.parse(stdout) as { archives: { volumes: { error: string }[] }[] }).archives;
  assert.match(archive?.volumes[0]?.error ?? '', /head of the newest session, is damaged/);
});

test('more than half of a volume goes only with --yes, and off a terminal nothing asks', async (t) => {
  const { root, sessions } = await fourSessions(t);
  const told = receiver('prune', '--root', root, '--keep-last', '1', '--dry-run');
  assert.match(told.stdout, new RegExp(`^ {2}more than half of ${VOLUME}: 3 of 4 sessions$`, 'm'));
  const refused = receiver('prune', '--root', root, '--keep-last', '1');
  assert.equal(refused.status, 3);
  assert.match(refused.stderr, /would remove 3 of its 4 sessions at once, more than half.*--yes/);
  assert.deepEqual(sessions(), NAMES);
  for (const wrong of [
    ['--keep-last', '0'],
    ['--keep-within', '0d'],
  ]) {
    assert.equal(receiver('prune', '--root', root, ...wrong, '--yes').status, 2, wrong.join(' '));
  }
  assert.deepEqual(sessions(), NAMES);
  assert.equal(receiver('prune', '--root', root, '--keep-last', '1', '--yes').status, 0);
  assert.deepEqual(sessions(), NAMES.slice(3));
});

test('what counts is when a session was committed, not its name; where that was not noted, the name', async (t) => {
  const { root, sessions } = await fourSessions(t);
  // The third with a clock in the future; the second is older than the note.
  committedAt(root, [TIMES[0], undefined, '2099-01-01T00:00:00Z', TIMES[3]]);
  const { stdout } = receiver('prune', '--root', root, '--keep-daily', '2', '--dry-run');
  assert.match(stdout, /^ {2}2026-11-01 Sun {2}-02:00:00 {2}\+14:00:00$/m);
  assert.match(stdout, /^ {2}2099-01-01 Thu {2}\+00:00:00 \(S_20261102-020000\)$/m);
  assert.equal(receiver('prune', '--root', root, '--keep-daily', '2').status, 0);
  assert.deepEqual(sessions(), NAMES.slice(1), 'two days, and what a wrong clock made between them');
});
