import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemDisk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import { encodeFrame } from '../../../shared/wire/encode.ts';
import { MAGIC } from '../../../shared/wire/magic.ts';
import { scratchFor } from '../../fixtures/scratch.ts';
import { MAIN } from '../peer.ts';
import { CHUNK, VOLUME, commitSession, impatient, newArchive, sessionName, planOf } from '../store/small-volumes.ts';

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function receiver(...args: string[]): Result {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
}

async function rootWithArchive(t: TestContext): Promise<{ root: string; session: string }> {
  const root = scratchFor(t);
  const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  await store.create(newArchive(), impatient);
  const archive = await store.open(newArchive().name, impatient);
  await commitSession(archive, planOf(1, 3000, [{ chunk: 5, data: 'five' }]));
  await archive.close();
  return { root, session: join(root, 'laptop/volumes', VOLUME, sessionName(1)) };
}

/** Standard output is one JSON document and nothing else. */
function json({ status, stdout, stderr }: Result): unknown {
  assert.equal(stderr, '');
  assert.equal(stdout.indexOf('\n'), stdout.length - 1);
  return { status, ...(JSON.parse(stdout) as object) };
}

test('list shows what is there, as a table and as JSON, with --json before or after', async (t) => {
  const { root } = await rootWithArchive(t);
  const summary = {
    session: sessionName(1),
    sizeBytes: 3000 * CHUNK,
    files: 1,
    storedBytes: 17,
    zeros: 0,
    committed: '2026-11-23T21:00:00.000Z',
    protected: false,
  };
  const stats = join(root, 'laptop/volumes', VOLUME, sessionName(1), 'stats');
  const counted = JSON.parse(readFileSync(stats, 'utf8')) as object;
  writeFileSync(stats, JSON.stringify({ ...counted, committed: Date.parse(summary.committed) }));
  const expected = {
    status: 0,
    archives: [{ archive: 'laptop', volumes: [{ id: VOLUME, name: null, sessions: [summary] }] }],
  };
  assert.deepEqual(json(receiver('list', '--root', root, '--json')), expected);
  assert.deepEqual(json(receiver('--json', '--root', root, 'list', '--archive', 'laptop')), expected);
  const { status, stdout } = receiver('list', '--root', root);
  assert.equal(status, 0);
  assert.match(stdout, /laptop\n {2}volume .*\n {2}cd+cd\S+ +S_20261123-000001 +188 MiB +17 B +1\n/);
  const empty = scratchFor(t);
  assert.deepEqual(json(receiver('list', '--root', empty, '--json')), { status: 0, archives: [] });
  assert.equal(receiver('list', '--root', empty, '--archive', 'laptop').status, 1);
});

test('check says that all is well, and what is not with exit status 4', async (t) => {
  const { root, session } = await rootWithArchive(t);
  // What the session has, and the catalogue and the key slot, each with its copy.
  const objects = 2 * (newArchive().catalogue.length + newArchive().slots[0]!.data.length);
  const bytes = 17 + '196608000\n'.length + objects;
  const report = { archive: 'laptop', files: 4 + 4, bytes, damaged: 0, damages: [] };
  assert.deepEqual(json(receiver('check', '--root', root, '--json')), { status: 0, archives: [report] });
  assert.match(receiver('check', '--root', root).stdout, /^laptop: 8 files, \d+ B, no damage\n$/);
  writeFileSync(join(session, 'index'), 'rotten');
  const name = `volumes/${VOLUME}/${sessionName(1)}`;
  rmSync(join(root, 'laptop/keys/passphrase'));
  rmSync(join(session, '0000000000/sha256'));
  const damages = [
    ['keys/passphrase', 'missing', /"sparsebak-receiver scrub" puts back/],
    [`${name}/index`, 'corrupt', /the next "sparsebak send"/],
    [
      `${name}/0000000000/sha256`,
      'missing',
      /"sparsebak verify --all-sessions".*"sparsebak-receiver scrub --renew-checksums"/,
    ],
  ] as const;
  const broken = json(receiver('check', '--root', root, '--json')) as {
    status: number;
    archives: { damages: { place: string; kind: string; remedy: string }[] }[];
  };
  assert.equal(broken.status, 4);
  assert.equal(broken.archives[0]?.damages.length, damages.length);
  for (const [at, [place, kind, remedy]] of damages.entries()) {
    const damage: Record<string, string> = broken.archives[0].damages[at]!;
    assert.deepEqual([damage.place, damage.kind], [place, kind]);
    assert.match(damage.remedy ?? '', remedy);
  }
  const { stdout } = receiver('check', '--root', root);
  assert.match(stdout, /3 damaged\n {2}missing +keys\/passphrase\n {2}corrupt +volumes/);
  assert.match(stdout, /\nWhat to do:\n {2}keys\/passphrase: "sparsebak-receiver scrub" puts back/);
});

test('help has examples, and a wrong call is status 2', () => {
  for (const args of [['--help'], ['serve', '--help'], ['list', '--help'], ['check', '--help']]) {
    const { status, stdout } = receiver(...args);
    assert.equal(status, 0);
    assert.match(stdout, /Examples:/);
  }
  assert.equal(
    receiver('--version').stdout,
    `${(JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version}\n`,
  );
  for (const args of [[], ['nothing'], ['serve', '--grant', 'some'], ['list', '--archive', '../x'], ['list', 'more']]) {
    const { status, stdout, stderr } = receiver(...args);
    assert.equal(status, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.notEqual(stderr, '');
  }
});

test('S17: a root that is not there is status 5, with nothing on standard output', () => {
  const { status, stdout, stderr } = receiver('list', '--root', '/nowhere/at/all', '--json');
  assert.deepEqual([status, stdout], [5, '']);
  assert.match(stderr, /^sparsebak-receiver: the backup folder is not there\. Mount/);
});

test('the configuration: its fields, all that are wrong by name, and what the command line says against it', async (t) => {
  const { root } = await rootWithArchive(t);
  const file = join(scratchFor(t), 'receiver.toml');
  const withConfig = (text: string, ...args: string[]) => {
    writeFileSync(file, text);
    return receiver('--config', file, ...args);
  };
  assert.equal(withConfig(`root = "${root}"\n`, 'list').status, 0);
  const wrong = withConfig(
    'root = "relative"\narchives = ["../up"]\nrequire_mount = 1\nmin_keep = 0\nallow_delete = "yes"\ncallers = [""]\nmin_free_bytes = -1\nmin_free_inodes = "x"\nmore = 1\n',
    'list',
  );
  assert.equal(wrong.status, 2);
  for (const field of [
    'root',
    'archives.0',
    'require_mount',
    'min_keep',
    'allow_delete',
    'callers.0',
    'min_free_bytes',
    'min_free_inodes',
    'more',
  ]) {
    assert.match(wrong.stderr, new RegExp(`${field}: `));
  }
  const noToml = withConfig('root = \n', 'list');
  assert.equal(noToml.status, 2);
  assert.match(noToml.stderr, /receiver\.toml/);
  assert.equal(receiver('--config', '/nowhere.toml', 'list').status, 2);
  const kept = withConfig(`root = "${root}"\nkept_catalogues = 0\nkept_days = -1\nkept_size = "10%"\n`, 'list');
  for (const field of ['kept_catalogues', 'kept_days', 'kept_size'])
    assert.match(kept.stderr, new RegExp(`${field}: `));
  const mount = withConfig(`root = "${root}"\nrequire_mount = true\n`, 'list');
  assert.equal(mount.status, 5);
  assert.match(mount.stderr, /not mounted/);
  const others = `root = "${root}"\narchives = ["desktop"]\n`;
  assert.equal(withConfig(others, 'list', '--archive', 'laptop').status, 5);
  const other = join(root, 'empty');
  mkdirSync(other);
  assert.deepEqual(json(withConfig(`root = "${root}"\n`, 'list', '--root', other, '--json')), {
    status: 0,
    archives: [],
  });
});

test('serve takes files for standard input and output', async (t) => {
  const { root } = await rootWithArchive(t);
  const call = Buffer.concat([
    MAGIC,
    encodeFrame({ t: 'hello', version: 1, release: 'test', capabilities: [] }),
    encodeFrame({ t: 'bye', id: 1 }),
  ]);
  writeFileSync(join(root, 'call'), call);
  const command = `"$0" "$1" serve --root "$2" < "$2/call" > "$2/answer"`;
  const { status } = spawnSync('sh', ['-c', command, process.execPath, MAIN, root]);
  assert.equal(status, 0);
  assert.deepEqual(readFileSync(join(root, 'answer')).subarray(0, 8), Buffer.from(MAGIC));
  writeFileSync(join(root, 'call'), call.subarray(0, -3));
  assert.equal(spawnSync('sh', ['-c', command, process.execPath, MAIN, root]).status, 1);
});

test('dedup says what it saved, and where there is nothing to link', async (t) => {
  const { root } = await rootWithArchive(t);
  const nothing = { chunks: 0, linked: 0, savedBytes: 0, copies: 0, repaired: 0 };
  assert.deepEqual(json(receiver('dedup', '--root', root, '--json')), {
    status: 0,
    archives: [{ archive: 'laptop', hasEqual: false, ...nothing }],
  });
  assert.match(receiver('dedup', '--root', root).stdout, /created without deduplication: .* nothing to link/);
  const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  await store.create(newArchive({ name: 'plain' as never, id: 'ef'.repeat(16) as never, encrypted: false }), impatient);
  const archive = await store.open('plain' as never, impatient);
  const steps = [0, 1, 2].map((chunk) => ({ chunk, data: 'the same' }));
  await commitSession(archive, planOf(1, 3000, steps));
  await archive.close();
  assert.deepEqual(json(receiver('dedup', '--root', root, '--archive', 'plain', '--json')), {
    status: 0,
    archives: [{ archive: 'plain', hasEqual: true, ...nothing, chunks: 3, linked: 2, savedBytes: 16 }],
  });
  const { stdout } = receiver('dedup', '--root', root, '--archive', 'plain');
  assert.equal(stdout, 'plain: 0 of 3 chunks linked to an equal one, 0 B saved\n');
});

test('scrub says what it read, what is damaged and which sessions that damages, and reads it once in its time', async (t) => {
  const { root, session } = await rootWithArchive(t);
  const scrub = (...options: string[]) =>
    json(receiver('scrub', '--root', root, '--json', ...options)) as {
      status: number;
      archives: { since: string | null; files: number; damages: Record<string, unknown>[] }[];
    };
  const first = scrub('--max-time', '0m');
  assert.deepEqual([first.status, first.archives[0]?.since], [0, null], 'no time, nothing read');
  const second = scrub('--limit-rate', '1GiB');
  const { since, ...report } = second.archives[0] ?? {};
  assert.deepEqual(report, {
    archive: 'laptop',
    files: 4,
    bytes: 27,
    repaired: 0,
    renewed: 0,
    objects: [],
    complete: true,
    remembered: true,
    damaged: 0,
    damages: [],
  });
  assert.ok(Math.abs(Date.parse(since ?? '') - Date.now()) < 60_000);
  writeFileSync(join(session, '0000000000', '0000000000050000'), 'four');
  assert.equal(scrub().archives[0]?.files, 0, 'it was read a moment ago');
  const found = scrub('--every', '0d');
  assert.equal(found.status, 4);
  const place = `${sessionName(1)}/0000000000/0000000000050000`;
  const { remedy, ...damage } = found.archives[0]?.damages[0] ?? {};
  assert.deepEqual(damage, { volume: VOLUME, place, kind: 'corrupt', sessions: [sessionName(1)], name: null });
  assert.match(String(remedy), /the next "sparsebak send" repairs it/);
  assert.equal(scrub().status, 4, 'remembered');
  assert.match(
    receiver('scrub', '--root', root).stdout,
    /^laptop: 0 files read, 0 B, 1 damaged; everything was read since .*\n {2}corrupt +cd.* damages S_20261123-000001\nWhat to do:\n {2}S_20261123-000001\/0+\/0+50000: .*\n$/,
  );
  for (const wrong of [
    ['--every', '1y'],
    ['--limit-rate', '10%'],
    ['--max-time', 'long'],
  ]) {
    assert.equal(receiver('scrub', '--root', root, ...wrong).status, 2);
  }
});

test('doctor names what is missing with its remedy, and what was not read for too long', async (t) => {
  const { root, session } = await rootWithArchive(t);
  const folder = scratchFor(t);
  const config = join(folder, 'receiver.toml');
  const metrics = join(folder, 'sparsebak.prom');
  const doctor = (lines = '') => {
    writeFileSync(
      config,
      `root = "${root}"\nmetrics_file = "${metrics}"\nmin_free_bytes = 0\nlow_space = "0%"\n${lines}`,
    );
    return json(receiver('--config', config, 'doctor', '--json')) as {
      status: number;
      healthy: boolean;
      findings: { check: string; verdict: string; message: string; hint?: string }[];
    };
  };
  const bad = ({ findings }: ReturnType<typeof doctor>) =>
    findings.flatMap(({ verdict, message, hint }) =>
      verdict === 'ok' || verdict === 'note'
        ? []
        : [`${verdict}: ${message}${hint === undefined ? ' WITHOUT REMEDY' : ''}`],
    );
  const never = doctor();
  assert.deepEqual([never.status, bad(never)], [3, ['overdue: scrub: some of it was never read']]);
  assert.equal(receiver('--config', config, 'scrub').status, 0);
  const well = doctor();
  assert.deepEqual([well.status, well.healthy, bad(well)], [0, true, []]);
  assert.match(readFileSync(metrics, 'utf8'), /^sparsebak_archive_damaged_files\{archive="laptop"\} 0$/m);

  writeFileSync(join(session, '0000000000', '0000000000050000'), 'four');
  assert.equal(receiver('--config', config, 'scrub', '--every', '0d').status, 4);
  assert.deepEqual(bad(doctor()), ['failed: 1 files are damaged']);
  assert.match(readFileSync(metrics, 'utf8'), /^sparsebak_archive_damaged_files\{archive="laptop"\} 1$/m);
  assert.match(bad(doctor('nonsense = 1\n')).join(), /^failed: .*nonsense: there is no such field$/);
  assert.match(bad(doctor('require_mount = true\n')).join(), /^failed: the backup disk is not mounted$/);
});

test('doctor changes nothing in the archive, finds what scrub would repair, and does not wait for a scrub', async (t) => {
  const { root } = await rootWithArchive(t);
  const folder = scratchFor(t);
  const config = join(folder, 'receiver.toml');
  writeFileSync(config, `root = "${root}"\nmetrics_file = "${folder}/m.prom"\nmin_free_bytes = 0\nlow_space = "0%"\n`);
  const everything = () =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .sort()
      .map((name) => [name, statSync(join(root, name)).mtimeMs, statSync(join(root, name)).ino]);
  const before = everything();
  assert.equal(receiver('--config', config, 'doctor').status, 3);
  assert.deepEqual(everything(), before);
  assert.equal(receiver('--config', config, 'scrub').status, 0);
  writeFileSync(join(root, 'laptop/catalogue'), '');
  const damaged = everything();
  const { status, stdout } = receiver('--config', config, 'doctor');
  assert.equal(status, 3);
  assert.match(stdout, /FAILED +archive laptop +1 files are damaged/);
  assert.deepEqual(everything(), damaged);
});

test('scrub puts a lost catalogue and slot back, says so with status 4, and is content from then on', async (t) => {
  const { root } = await rootWithArchive(t);
  const opening = ['catalogue', 'keys/passphrase'].map((place) => join(root, 'laptop', place));
  const before = opening.map((path) => readFileSync(path));
  writeFileSync(opening[0]!, '');
  rmSync(opening[1]!);
  const { status, stdout } = receiver('scrub', '--root', root);
  assert.equal(status, 4);
  assert.match(
    stdout,
    /2 damaged; .*\n {2}corrupt +the archive +catalogue +repaired: version 1, the last one put, is back in its place\n/,
  );
  assert.match(stdout, / {2}missing +the archive +keys\/passphrase +repaired: /);
  assert.ok(!stdout.includes('What to do'));
  assert.deepEqual(
    opening.map((path) => readFileSync(path)),
    before,
  );
  assert.equal(receiver('scrub', '--root', root).status, 0);
  assert.equal(receiver('check', '--root', root).status, 0);
});

test('a lost list of checksums is named with the way out, which is made again only when it is asked for', async (t) => {
  const { root, session } = await rootWithArchive(t);
  const list = join(session, '0000000000/sha256');
  const before = readFileSync(list, 'utf8');
  rmSync(list);
  const lost = receiver('scrub', '--root', root);
  assert.equal(lost.status, 4);
  assert.match(
    lost.stdout,
    /missing .*0000000000\/sha256.*\nWhat to do:\n.*verify --all-sessions.*scrub --renew-checksums/,
  );
  assert.equal(receiver('scrub', '--root', root).status, 4);
  const renewed = json(receiver('scrub', '--root', root, '--renew-checksums', '--json')) as {
    status: number;
    archives: { renewed: number }[];
  };
  assert.deepEqual([renewed.status, renewed.archives[0]?.renewed], [0, 1]);
  assert.equal(readFileSync(list, 'utf8'), before);
  assert.equal(receiver('check', '--root', root).status, 0);
});

test('stats shows what each session takes up, and what pruning it would free', async (t) => {
  const { root } = await rootWithArchive(t);
  const store = new FilesStore(systemDisk, { root, requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } });
  const archive = await store.open(newArchive().name, impatient);
  await commitSession(archive, planOf(2, 3000, [{ chunk: 5, data: 'fünf' }]));
  await archive.close();
  const file = join(scratchFor(t), 'receiver.toml');
  writeFileSync(file, `root = "${root}"\n[retention]\nkeep_last = 1\n`);
  const { archives } = json(receiver('--config', file, 'stats', '--json')) as {
    archives: {
      policyFreedBytes: number;
      keptFiles: number;
      keptBytes: number;
      diskBytes: number;
      volumes: { diskBytes: number; sessions: { freedBytes: number | null }[] }[];
    }[];
  };
  assert.equal(archives[0]?.policyFreedBytes, 17);
  const { keptFiles, keptBytes, diskBytes, volumes } = archives[0];
  assert.equal(keptFiles, 2);
  assert.ok(keptBytes > 0);
  assert.equal(diskBytes, keptBytes + (volumes[0]?.diskBytes ?? NaN));
  assert.deepEqual(
    archives[0].volumes[0]?.sessions.map(({ freedBytes }) => freedBytes),
    [17, null],
  );
  const { stdout } = receiver('stats', '--root', root);
  assert.match(stdout, /^laptop: .* on disk, .* in 2 kept catalogues and slots; the disk has .* free$/m);
  assert.match(stdout, /^ {2}cd+cd\S+ +S_20261123-000001 +.* 17 B$/m);
  assert.match(stdout, /^ {2}cd+cd\S+ +S_20261123-000002 +.* stays$/m);
});

test('without flock, the archive is not called damaged: the program to install is named', async (t) => {
  const { root } = await rootWithArchive(t);
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'check', '--root', root], {
    encoding: 'utf8',
    env: { ...process.env, PATH: scratchFor(t) },
  });
  assert.notEqual(status, 4);
  assert.match(stderr, /there is no flock here: install util-linux/);
});
