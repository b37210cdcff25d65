// An archive whose files were moved, mixed, taken away, added to, or put back from an earlier time. The commands are
// the real ones; after each case either the exact bytes came, or exit status 4 (5 where the receiver itself gave up).

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { CHUNK, TamperedArchive, MODES, type Kind, type Outcome } from './tampered-archive.ts';
import { limit } from '../fixtures/limits.ts';

interface Case {
  readonly name: string;
  readonly tamper: (ground: TamperedArchive) => void;
  /** Restores that must be refused, as `volume session number`; all others must be exact. `all`: every one. */
  readonly lost: readonly string[] | 'all';
  /** Exit statuses; those of `list` and `send` are looked at where something depends on it. */
  readonly verify: number;
  readonly list?: number;
  readonly send?: number;
  /** `send` says so, and makes sessions that do without what was tampered with. */
  readonly healed?: true;
  /** `send` goes through with --accept-rollback. */
  readonly accepted?: true;
  /** Volumes whose newest session is in doubt though each can be restored. */
  readonly doubted?: readonly string[];
}

function newest(ground: TamperedArchive): string {
  return ground.sessions[2]!;
}

function swap(one: string, other: string): void {
  const bytes = readFileSync(one);
  writeFileSync(one, readFileSync(other));
  writeFileSync(other, bytes);
}

function chunkOf(ground: TamperedArchive, volume: string, session: number, chunk: number): string {
  const address = (chunk * CHUNK).toString(16).padStart(16, '0');
  return join(
    ground.session(volume, ground.sessions[session]!),
    address.slice(0, 10).replace(/....$/, '0000'),
    address,
  );
}

function object(ground: TamperedArchive, kind: Kind, volume: string, session: number): string {
  const found = ground
    .places(kind)
    .find((place) => place.volume === volume && place.session === ground.sessions[session]);
  assert.ok(found, `a ${kind} of ${volume} in session ${session}`);
  return found.path;
}

/**
 * A session's head names the whole content, so what is wrong in one place is wrong in all sessions that still see it.
 */
const CASES: readonly Case[] = [
  {
    name: 'A3 two chunks of one session swapped',
    tamper: (ground) => swap(chunkOf(ground, 'b.img', 0, 0), chunkOf(ground, 'b.img', 0, 1)),
    lost: ['b.img 0', 'b.img 1'],
    verify: 4,
  },
  {
    name: 'A3 A5 a chunk of the older session in the newer one',
    tamper: (ground) => writeFileSync(chunkOf(ground, 'b.img', 1, 2), readFileSync(chunkOf(ground, 'b.img', 0, 2))),
    lost: ['b.img 1'],
    verify: 4,
  },
  {
    name: 'A3 chunks of two volumes swapped',
    tamper: (ground) => swap(chunkOf(ground, 'a.img', 0, 0), chunkOf(ground, 'b.img', 0, 0)),
    lost: ['a.img 0', 'a.img 1', 'a.img 2', 'b.img 0', 'b.img 1'],
    verify: 4,
  },
  {
    name: 'A3 pages of two volumes swapped',
    tamper: (ground) => swap(object(ground, 'page', 'a.img', 2), object(ground, 'page', 'b.img', 1)),
    lost: ['a.img 2', 'b.img 1'],
    ...{ verify: 4, send: 4, healed: true },
  },
  {
    name: 'A3 pages of two ranges swapped',
    tamper: (ground) => {
      const [first, last] = ground.places('page').filter(({ volume }) => volume === 'wide.img');
      swap(first!.path, last!.path);
    },
    lost: ['wide.img 0', 'wide.img 2'],
    ...{ verify: 4, send: 4, healed: true },
  },
  {
    name: 'A3 indexes of two volumes swapped',
    tamper: (ground) => swap(object(ground, 'index', 'a.img', 2), object(ground, 'index', 'b.img', 1)),
    lost: [],
    ...{ verify: 4, send: 4, healed: true },
  },
  {
    name: 'A3 A6 heads of one sequence swapped between volumes',
    tamper: (ground) => swap(object(ground, 'head', 'a.img', 0), object(ground, 'head', 'b.img', 0)),
    lost: ['a.img 0', 'b.img 0'],
    ...{ verify: 4, list: 4 },
  },
  {
    name: 'A3 A5 heads of two sessions swapped',
    tamper: (ground) => swap(object(ground, 'head', 'a.img', 0), object(ground, 'head', 'a.img', 2)),
    lost: ['a.img 0', 'a.img 2'],
    ...{ verify: 4, list: 4, send: 4 },
  },
  {
    name: 'A3 A6 one volume’s folder under the id of another',
    tamper: (ground) => {
      rmSync(ground.volume('b.img'), { recursive: true });
      cpSync(ground.volume('a.img'), ground.volume('b.img'), { recursive: true });
    },
    lost: ['b.img 0', 'b.img 1'],
    ...{ verify: 4, list: 4, send: 4 },
  },
  {
    name: 'A5 the older page put back',
    tamper: (ground) =>
      writeFileSync(object(ground, 'page', 'a.img', 2), readFileSync(object(ground, 'page', 'a.img', 1))),
    lost: ['a.img 2'],
    ...{ verify: 4, send: 4, healed: true },
  },
  {
    name: 'A5 the older index put back',
    tamper: (ground) =>
      writeFileSync(object(ground, 'index', 'a.img', 2), readFileSync(object(ground, 'index', 'a.img', 1))),
    lost: [],
    ...{ verify: 4, send: 4, healed: true },
  },
  {
    name: 'A5 the newest session holds what the older one held',
    tamper: (ground) => {
      rmSync(ground.session('a.img', newest(ground)), { recursive: true });
      cpSync(ground.session('a.img', ground.sessions[1]!), ground.session('a.img', newest(ground)), {
        recursive: true,
      });
    },
    lost: ['a.img 2'],
    ...{ verify: 4, list: 4, send: 4 },
  },
  {
    name: 'A5 A7 the newest session taken away',
    tamper: (ground) => rmSync(ground.session('a.img', newest(ground)), { recursive: true }),
    lost: ['a.img 2'],
    ...{ verify: 4, list: 4, send: 4, accepted: true },
  },
  {
    name: 'A5 the older session under the newest one’s name, and it taken away',
    tamper: (ground) => {
      rmSync(ground.session('a.img', newest(ground)), { recursive: true });
      renameSync(ground.session('a.img', ground.sessions[1]!), ground.session('a.img', newest(ground)));
    },
    lost: ['a.img 1', 'a.img 2'],
    ...{ verify: 4, list: 4, send: 4 },
  },
  {
    name: 'A5 one whole volume rolled back',
    tamper: (ground) => {
      const id = ground.ids.get('a.img')!;
      rmSync(ground.volume('a.img'), { recursive: true });
      cpSync(join(ground.asOf(ground.sessions[1]!), 'volumes', id), ground.volume('a.img'), { recursive: true });
    },
    lost: ['a.img 2'],
    ...{ verify: 4, list: 4, send: 4, accepted: true },
  },
  {
    name: 'A5 the whole archive rolled back',
    tamper: (ground) => {
      rmSync(ground.archive, { recursive: true });
      cpSync(ground.asOf(ground.sessions[1]!), ground.archive, { recursive: true });
    },
    lost: 'all',
    ...{ verify: 4, list: 4, send: 4, accepted: true },
  },
  {
    name: 'A5 the catalogue alone rolled back',
    tamper: (ground) => cpSync(join(ground.asOf(ground.sessions[1]!), 'catalogue'), join(ground.archive, 'catalogue')),
    lost: 'all',
    ...{ verify: 4, list: 4, send: 4, accepted: true },
  },
  {
    name: 'A5 all but the catalogue rolled back',
    tamper: (ground) => {
      rmSync(join(ground.archive, 'volumes'), { recursive: true });
      cpSync(join(ground.asOf(ground.sessions[1]!), 'volumes'), join(ground.archive, 'volumes'), { recursive: true });
    },
    lost: ['a.img 2', 'wide.img 2'],
    ...{ verify: 4, list: 4, send: 4, accepted: true },
  },
  {
    name: 'A7 a volume taken away',
    tamper: (ground) => rmSync(ground.volume('b.img'), { recursive: true }),
    lost: ['b.img 0', 'b.img 1'],
    ...{ verify: 4, list: 4, send: 4, accepted: true },
  },
  {
    name: 'A7 all volumes taken away',
    tamper: (ground) => rmSync(join(ground.archive, 'volumes'), { recursive: true }),
    lost: 'all',
    ...{ verify: 5, list: 5, send: 5 },
  },
  {
    name: 'A7 the catalogue taken away',
    tamper: (ground) => rmSync(join(ground.archive, 'catalogue')),
    lost: [],
    ...{ verify: 4, list: 4, send: 0 },
  },
  {
    name: 'A7 the archive taken away',
    tamper: (ground) => rmSync(ground.archive, { recursive: true }),
    lost: 'all',
    ...{ verify: 4, list: 4, send: 4 },
  },
  {
    name: 'A7 one session too many: a copy with a newer name',
    doubted: ['a.img'],
    tamper: (ground) =>
      cpSync(ground.session('a.img', newest(ground)), ground.session('a.img', 'S_20990101-000000'), {
        recursive: true,
      }),
    lost: [],
    ...{ verify: 4, list: 4, send: 4 },
  },
  {
    name: 'A7 one volume too many: a copy with another id',
    tamper: (ground) =>
      cpSync(ground.volume('a.img'), join(dirname(ground.volume('a.img')), 'ab'.repeat(16)), { recursive: true }),
    lost: [],
    ...{ verify: 0, list: 4 },
  },
  {
    name: 'A7 a middle session taken away: it looks pruned, and what it held is missing',
    tamper: (ground) => rmSync(ground.session('a.img', ground.sessions[1]!), { recursive: true }),
    lost: ['a.img 1'],
    verify: 0,
  },
  {
    name: 'A13 a chunk taken away',
    tamper: (ground) => rmSync(chunkOf(ground, 'b.img', 0, 1)),
    lost: ['b.img 0', 'b.img 1'],
    verify: 4,
  },
  {
    name: 'A13 a page taken away',
    tamper: (ground) => rmSync(object(ground, 'page', 'b.img', 0)),
    lost: ['b.img 0'],
    verify: 4,
  },
  {
    name: 'A13 an index taken away',
    tamper: (ground) => rmSync(object(ground, 'index', 'b.img', 0)),
    lost: [],
    verify: 4,
  },
  {
    name: 'A13 a zero-length file where data was',
    tamper: (ground) => writeFileSync(chunkOf(ground, 'b.img', 0, 1), ''),
    lost: ['b.img 0', 'b.img 1'],
    verify: 4,
  },
  {
    name: 'A4 data where zeros were: the page says zeros, and so it is',
    tamper: (ground) => {
      writeFileSync(chunkOf(ground, 'a.img', 2, 1), readFileSync(chunkOf(ground, 'a.img', 0, 1)));
      writeFileSync(chunkOf(ground, 'a.img', 0, 3), readFileSync(chunkOf(ground, 'a.img', 0, 0)));
    },
    lost: [],
    verify: 0,
  },
  {
    name: 'A14 the end of a volume taken away',
    tamper: (ground) => {
      for (const session of ground.sessions) {
        rmSync(join(ground.session('wide.img', session), '0000000008'), { recursive: true, force: true });
        const size = join(ground.session('wide.img', session), 'size');
        if (existsSync(size)) writeFileSync(size, `${64 * 2 ** 20}\n`);
      }
    },
    lost: ['wide.img 0', 'wide.img 2'],
    ...{ verify: 4, send: 4, healed: true },
  },
  ...['0', '-1', '1e99', '9007199254740993', 'x'.repeat(1000)].map((size) => ({
    name: `A8 a size that says ${size.slice(0, 20)}`,
    tamper: (ground: TamperedArchive) =>
      writeFileSync(join(ground.session('a.img', newest(ground)), 'size'), `${size}\n`),
    lost: [],
    verify: 0,
  })),
  {
    name: 'A8 a catalogue of 17 MiB',
    tamper: (ground) => writeFileSync(join(ground.archive, 'catalogue'), Buffer.alloc(17 * 2 ** 20, 1)),
    lost: [],
    ...{ verify: 4, list: 4, send: 0 },
  },
  {
    name: 'A8 a page of 60 KiB, an index of 4 MiB',
    tamper: (ground) => {
      writeFileSync(object(ground, 'page', 'a.img', 2), Buffer.alloc(60 * 1024, 1));
      writeFileSync(object(ground, 'index', 'b.img', 1), Buffer.alloc(4 * 2 ** 20, 1));
    },
    lost: ['a.img 2'],
    ...{ verify: 4, send: 4, healed: true },
  },
  {
    name: 'A9 chunks that say they are 1 GiB of zeros',
    tamper: (ground) => {
      const zeros = Buffer.alloc(2 ** 28);
      writeFileSync(chunkOf(ground, 'b.img', 0, 0), gzipSync(zeros, { level: 1 }).subarray(0, 70_000));
      writeFileSync(chunkOf(ground, 'b.img', 0, 1), zstdCompressSync(zeros));
    },
    lost: ['b.img 0', 'b.img 1'],
    verify: 4,
  },
];

function label({ volume, session }: Outcome, { sessions }: TamperedArchive): string {
  return `${volume} ${sessions.indexOf(session)}`;
}

async function runCase(ground: TamperedArchive, each: Case, whole: boolean): Promise<void> {
  ground.reset();
  each.tamper(ground);
  const outcomes = await ground.restoreAll();
  const refused = outcomes.filter(({ status }) => status !== 0);
  if (each.lost === 'all') assert.equal(refused.length, outcomes.length);
  else assert.deepEqual(refused.map((outcome) => label(outcome, ground)).sort(), [...each.lost].sort());
  if (!whole) return;
  const { lab } = ground;
  const [verify, list] = await Promise.all([
    lab.run(['verify', '--all-sessions']),
    each.list === undefined ? undefined : lab.run(['list']),
  ]);
  assert.equal(verify.status, each.verify, verify.describe());
  assert.equal(list?.status, each.list, list?.describe());
  if (each.send !== undefined) await sendOver(ground, each, each.send);
}

/** Volumes over which nothing may be sent: one volume's damage is no reason to leave another one out. */
function stopped(ground: TamperedArchive, { lost, doubted = [] }: Case): Set<string> {
  const names = lost === 'all' ? [...ground.ids.keys()] : [...doubted, ...lost.map((each) => each.split(' ')[0]!)];
  return new Set(names.map((name) => ground.ids.get(name)!));
}

/** A send over what was tampered with: it refuses, or what it makes is exactly the volume as it is now. */
async function sendOver(ground: TamperedArchive, each: Case, expected: number): Promise<void> {
  const { lab, random } = ground;
  const stoppedIds = stopped(ground, each);
  const storedOfStopped = () => ground.stored().filter((path) => stoppedIds.has(path.split('/')[0]!));
  const before = storedOfStopped();
  const volumes = ['a.img', 'b.img', 'wide.img'];
  for (const name of volumes) {
    const now = readFileSync(lab.path(name));
    random.bytes(200).copy(now, CHUNK - 100);
    lab.write(name, now);
  }
  const sent = await lab.run(['send', '--json']);
  assert.equal(sent.status, expected, sent.describe());
  if (each.healed !== undefined) (await lab.run(['send'])).expect(0);
  else if (expected !== 0) {
    assert.deepEqual(storedOfStopped(), before, 'nothing was built on it');
    // Once these volumes are as they were, nothing special is needed.
    if (each.accepted === undefined) ground.healVolumes(stoppedIds);
    const again = each.accepted === undefined ? ['send'] : ['send', '--full', '--accept-rollback'];
    (await lab.run(again)).expect(0);
    if (each.accepted !== undefined) (await lab.run(['list'])).expect(0);
  }
  const archive = await ground.open();
  try {
    for (const name of volumes) {
      const { session } = archive.pinned.catalogue.volumes.find((volume) => volume.name === name)!;
      const { status } = await ground.restoreOne(archive, name, session!, lab.path(name));
      // A chunk that was lost is not sent again while the volume has it unchanged; it is never taken for another.
      const mayMiss = (expected === 0 || each.accepted !== undefined) && each.lost.includes(`${name} 0`);
      assert.ok(status === 0 || mayMiss, `${name} as it is now`);
    }
  } finally {
    archive.client.close();
  }
}

for (const [number, mode] of MODES.entries()) {
  test(`an archive that was rearranged (${mode.name})`, { timeout: limit(900_000) }, async (t) => {
    const ground = await TamperedArchive.make(t, mode);
    let ran = 0;
    for (const each of CASES) {
      await t.test(each.name, async () => {
        await runCase(ground, each, number === 0);
        ran++;
      });
    }
    t.diagnostic(`${ran} cases, ${ground.counts.exact} exact restores, ${ground.counts.refused} refused`);
    assert.ok(ground.counts.exact > 100 && ground.counts.refused > 50);
  });
}

test('A4 each kind in the place of each other one', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const kinds = ['chunk', 'page', 'index', 'head'] as const;
  let puts = 0;
  for (const place of kinds) {
    for (const put of kinds) {
      if (place === put) continue;
      ground.heal();
      writeFileSync(object(ground, place, 'a.img', 0), readFileSync(object(ground, put, 'a.img', 0)));
      const refused = (await ground.restoreAll()).filter(({ status }) => status !== 0);
      // An index is made again from the pages.
      assert.equal(
        refused.some((outcome) => label(outcome, ground) === 'a.img 0'),
        place !== 'index',
        `${put} as ${place}`,
      );
      assert.ok(refused.every(({ volume, status }) => volume === 'a.img' && status === 4));
      puts++;
    }
  }
  assert.equal(puts, 12);
});

test('A3 objects of another archive of the same dom0', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  const other = await TamperedArchive.make(t, MODES[0]!);
  const kinds = ['chunk', 'page', 'index', 'head'] as const;
  for (const kind of kinds) {
    ground.heal();
    writeFileSync(object(ground, kind, 'a.img', 0), readFileSync(object(other, kind, 'a.img', 0)));
    const refused = (await ground.restoreAll()).filter(({ status }) => status !== 0);
    assert.equal(
      refused.some((outcome) => label(outcome, ground) === 'a.img 0' && outcome.status === 4),
      kind !== 'index',
      kind,
    );
  }
  ground.heal();
  // It is as good as lost, which is said; dom0 knows what is in the archive without it.
  cpSync(join(other.archive, 'catalogue'), join(ground.archive, 'catalogue'));
  for (const { status } of await ground.restoreAll()) assert.equal(status, 0);
  (await ground.lab.run(['list'])).expect(4);
  rmSync(ground.archive, { recursive: true });
  mkdirSync(ground.archive);
  for (const name of readdirSync(other.archive))
    cpSync(join(other.archive, name), join(ground.archive, name), { recursive: true });
  for (const { status } of await ground.restoreAll()) assert.equal(status, 4);
});

test('A12 content that changes between verify and restore', async (t) => {
  const ground = await TamperedArchive.make(t, MODES[0]!);
  (await ground.lab.run(['verify', '--all-sessions'])).expect(0);
  const path = chunkOf(ground, 'b.img', 0, 0);
  const bytes = readFileSync(path);
  bytes[100]! ^= 1;
  writeFileSync(path, bytes);
  const to = join(ground.lab.folder, 'out');
  (await ground.lab.run(['restore', 'b.img', '--to', to])).expect(4);
  assert.ok(!existsSync(to));
  const verified = (await ground.lab.run(['verify', 'b.img'])).expect(4);
  assert.match(verified.stdout, /chunk at 0: /);
});
