// An archive with a past, and what is asked of it later: what faults are injected into.

import assert from 'node:assert/strict';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import type { ArchiveStore, Damage, Store } from '../../../vm-receiver/store/store.ts';
import {
  LAPTOP,
  OTHER_VOLUME,
  VOLUME,
  beginSession,
  commitSession,
  impatient,
  newArchive,
  saidBy,
  sessionName,
  stored,
  takeSteps,
  textOf,
  visible,
  planOf,
  range,
  zeros,
  type SessionPlan,
} from './small-volumes.ts';

/** Data written again, zeros over data, a range of one session alone, an end that comes down and goes up again. */
const PAST: readonly SessionPlan[] = [
  planOf(1, 4000, range('a', 0, 1, 2), range('a', 1024), range('a', 2100, 2101), range('a', 3999)),
  planOf(2, 4000, range('b', 1, zeros(2)), range('b', 3998)),
  planOf(3, 2101, range('c', 3), [{ page: 2, data: 'page c2' }]),
  planOf(4, 4000, range('d', zeros(1)), range('d', zeros(2101, 1899))),
];
const CHUNKS = [0, 1, 2, 3, 1024, 2100, 2101, 3998, 3999];
const SIZES = [4000, 4000, 2101, 4000];
const CONTENT = [
  ['a0', 'a1', 'a2', '', 'a1024', 'a2100', 'a2101', '', 'a3999'],
  ['a0', 'b1', '', '', 'a1024', 'a2100', 'a2101', 'b3998', 'a3999'],
  ['a0', 'b1', '', 'c3', 'a1024', 'a2100', '', '', ''],
  ['a0', '', '', 'c3', 'a1024', 'a2100', '', '', ''],
];
const PAGES = [
  ['page a0', 'page a1', 'page a2', 'page a3'],
  ['page b0', 'page a1', 'page a2', 'page b3'],
  ['page c0', 'page a1', 'page c2', undefined],
  // The last range became zeros again: no page is stored, and what an older session has is never asked for.
  ['page d0', 'page a1', 'page d2', undefined],
];
const PAGES_ASKED = [4, 4, 3, 3];

/** What was answered so far, and so must be as it was said. */
export interface Asked {
  readonly pruned: Set<number>;
  protected: boolean;
  renamed: boolean;
  deleted: boolean;
}

export function nothingAsked(): Asked {
  return { pruned: new Set(), protected: false, renamed: false, deleted: false };
}

/** An archive of four sessions, another volume with one and an unfinished send. */
export async function makePast(store: Store, dedup: boolean): Promise<void> {
  await store.create(newArchive({ encrypted: false, dedup }), impatient);
  const archive = await store.open(LAPTOP, impatient);
  for (const plan of PAST) await commitSession(archive, plan);
  await commitSession(archive, { ...PAST[0]!, volume: OTHER_VOLUME });
  const send = await beginSession(archive, { ...PAST[1]!, volume: OTHER_VOLUME });
  await takeSteps(send, [{ chunk: 7, data: 'unfinished' }, { checkpoint: 1 }]);
  await send.abandon(true);
  await archive.close();
}

/** Asks for all that is to be done and was not answered yet. What the store throws goes out. */
export async function liveOn(store: Store, asked: Asked, order: readonly number[] = [3, 1, 2]): Promise<void> {
  try {
    const archive = await store.open(LAPTOP, impatient);
    try {
      await askAll(archive, asked, order);
    } finally {
      await archive.close();
    }
  } catch (error) {
    assert.ok(
      error instanceof Refusal,
      `not a refusal: ${error instanceof Error ? String(error.stack) : String(error)}`,
    );
    throw error;
  }
}

async function askAll(archive: ArchiveStore, asked: Asked, order: readonly number[]): Promise<void> {
  if (!asked.protected) assert.ok(await archive.protect(VOLUME, sessionName(4), true));
  asked.protected = true;
  for (const session of order) {
    await archive.prune(VOLUME, sessionName(session));
    asked.pruned.add(session);
  }
  await archive.deduplicate();
  if (!asked.renamed) assert.ok(await archive.rename(VOLUME, 'work'));
  asked.renamed = true;
  await archive.delete(OTHER_VOLUME);
  asked.deleted = true;
}

/** I4: every session that is there reads as ever, and nothing is there that was answered as gone. */
export async function inspectLater(store: Store, asked: Readonly<Asked>): Promise<void> {
  const archive = await store.open(LAPTOP, impatient);
  try {
    await readAll(archive, asked);
    for (const { volume } of archive.volumes()) {
      const damages: string[] = [];
      const damage = ({ place, kind }: Damage) => damages.push(`${kind} ${place}`);
      await archive.check(volume, { damage, file: () => undefined });
      assert.deepEqual(damages, []);
    }
    // A check finishes what was cut off.
    await readAll(archive, asked);
  } finally {
    await archive.close();
  }
}

async function readAll(archive: ArchiveStore, asked: Readonly<Asked>): Promise<void> {
  const volumes = [...archive.volumes()];
  const names = visible(archive);
  for (const session of asked.pruned) assert.ok(!names.includes(sessionName(session)), `I2: ${session} is back`);
  assert.ok(names.includes(sessionName(4)));
  assert.ok(volumes.some(({ volume }) => volume === OTHER_VOLUME) || visible(archive, OTHER_VOLUME).length === 0);
  if (asked.deleted)
    assert.ok(
      volumes.every(({ volume }) => volume !== OTHER_VOLUME),
      'I2: the volume is back',
    );
  const ours = volumes.find(({ volume }) => volume === VOLUME);
  if (asked.renamed) assert.equal(ours?.name, 'work');
  if (asked.protected) assert.equal(ours?.sessions.at(-1)?.protected, true);
  for (const name of names) {
    const session = Number(name.slice(-2));
    const found: (string | undefined)[] = [];
    for (const chunk of CHUNKS) {
      const inside = chunk < (SIZES[session - 1] ?? 0);
      found.push(inside ? ((await stored(archive, session, chunk)) ?? '') : '');
    }
    assert.deepEqual(found, CONTENT[session - 1], `I4: session ${session} of ${names.join()}`);
    const pages: (string | undefined)[] = [];
    for (let range = 0; range < (PAGES_ASKED[session - 1] ?? 0); range++) {
      pages.push(textOf(await archive.page(VOLUME, sessionName(session), range)));
    }
    assert.deepEqual(pages, PAGES[session - 1]?.slice(0, pages.length), `I4: pages of session ${session}`);
    assert.equal(textOf(await archive.index(VOLUME, sessionName(session))), `index ${session}`);
  }
  if (visible(archive, OTHER_VOLUME).length > 0) assert.equal(await stored(archive, 1, 3999, OTHER_VOLUME), 'a3999');
}

/** After all was answered: a next send works, and what was pruned leaves nothing behind. */
export async function goOn(store: Store): Promise<void> {
  const archive = await store.open(LAPTOP, impatient);
  try {
    await commitSession(archive, planOf(5, 4000, [{ chunk: 1, data: 'e1' }]));
    assert.equal(await stored(archive, 5, 1), 'e1');
    assert.equal(await stored(archive, 5, 1024), 'a1024');
    assert.equal((await stored(archive, 4, 1)) ?? '', '');
    assert.equal(saidBy(archive.catalogue()), 'catalogue 1');
    await archive.protect(VOLUME, sessionName(4), false);
    await archive.prune(VOLUME, sessionName(4));
    assert.equal(await stored(archive, 5, 1), 'e1');
    assert.equal(await stored(archive, 5, 3), 'c3');
    assert.equal((await stored(archive, 5, 3999)) ?? '', '');
  } finally {
    await archive.close();
  }
}
