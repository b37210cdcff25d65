// Key slots and catalogues put, replaced, removed and put back, as an agent and a person do it: what faults are
// injected into. Each step can be asked for again, and is, until it was answered.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ArchiveStore, Store } from '../../../vm-receiver/store/store.ts';
import { checksumOf } from '../../../vm-receiver/store/files/layout/checksums.ts';
import { LAPTOP, catalogueOf, impatient, newArchive, saidBy, slotOf } from './small-volumes.ts';

/** What opens the archive: the catalogue and the slots, by what they say. */
interface Opening {
  readonly catalogue: string;
  readonly slots: Readonly<Record<string, string>>;
}

interface Step {
  readonly change: (archive: ArchiveStore) => Promise<unknown>;
  readonly after: Opening;
}

const hash = (said: string) => createHash('sha512-256').update(catalogueOf(said)).digest();

function putCatalogue(before: string, said: string): Step['change'] {
  return (archive) => archive.putCatalogue(hash(before), catalogueOf(said));
}

function putSlot(name: string, said: string): Step['change'] {
  return (archive) => archive.putSlot({ name, data: slotOf(said) });
}

/** The oldest version that is kept of it, by its content. */
async function putBack(archive: ArchiveStore, data: Uint8Array): Promise<void> {
  const version = archive.kept().find(({ sha256 }) => sha256 === checksumOf(data));
  assert.ok(version !== undefined, `${saidBy(data)} is not kept, but only ${JSON.stringify(archive.kept())}`);
  await archive.putBack(version.number);
}

const P = { passphrase: 'a slot' };
export const STEPS: readonly Step[] = [
  { change: putCatalogue('catalogue 1', 'c2'), after: { catalogue: 'c2', slots: P } },
  { change: putSlot('recovery', 'r1'), after: { catalogue: 'c2', slots: { ...P, recovery: 'r1' } } },
  { change: putSlot('recovery', 'r2'), after: { catalogue: 'c2', slots: { ...P, recovery: 'r2' } } },
  { change: (archive) => archive.dropSlot('passphrase'), after: { catalogue: 'c2', slots: { recovery: 'r2' } } },
  { change: putCatalogue('c2', 'c3'), after: { catalogue: 'c3', slots: { recovery: 'r2' } } },
  {
    change: (archive) => putBack(archive, newArchive().slots[0]!.data),
    after: { catalogue: 'c3', slots: { ...P, recovery: 'r2' } },
  },
  {
    change: (archive) => putBack(archive, catalogueOf('c2')),
    after: { catalogue: 'c2', slots: { ...P, recovery: 'r2' } },
  },
  { change: putSlot('recovery', 'r1'), after: { catalogue: 'c2', slots: { ...P, recovery: 'r1' } } },
];

const FIRST: Opening = { catalogue: 'catalogue 1', slots: P };

/** How many steps were answered. */
export interface Done {
  steps: number;
}

export async function makeArchive(store: Store): Promise<void> {
  await store.create(newArchive(), impatient);
}

/** Goes on with the first step that was not answered, up to a step that is not taken. */
export async function liveOn(store: Store, done: Done, end = STEPS.length): Promise<void> {
  const archive = await store.open(LAPTOP, impatient);
  try {
    for (const { change } of STEPS.slice(done.steps, end)) {
      await change(archive);
      done.steps += 1;
    }
  } finally {
    await archive.close();
  }
}

/** A scrub finds nothing wrong, and changes nothing that opens the archive. */
export async function scrubOpening(store: Store): Promise<void> {
  const archive = await store.open(LAPTOP, impatient);
  try {
    const before = openingOf(archive);
    const { objects } = await archive.scrub({
      now: Date.now(),
      before: 0,
      more: () => true,
      file: async () => undefined,
    });
    assert.deepEqual(objects, [], 'repaired what is not damaged');
    assert.deepEqual(openingOf(archive), before);
  } finally {
    await archive.close();
  }
}

function openingOf(archive: ArchiveStore): Opening {
  const slots = [...archive.slots()].map(({ name, data }) => [name, saidBy(data)] as const);
  return { catalogue: saidBy(archive.catalogue()) ?? '', slots: Object.fromEntries(slots) as Record<string, string> };
}

/** What the steps that were answered, and no other, have put at one time. */
function everPut(steps: number): Set<string> {
  const openings = [FIRST, ...STEPS.slice(0, steps).map(({ after }) => after)];
  return new Set(openings.flatMap(({ catalogue, slots }) => [catalogue, ...Object.values(slots)]));
}

/** What was answered is there, nothing is half done, and whatever was replaced or removed can be put back. */
export async function inspectOpening(store: Store, { steps }: Readonly<Done>): Promise<void> {
  const archive = await store.open(LAPTOP, impatient);
  try {
    const there = JSON.stringify(openingOf(archive));
    const openings = [FIRST, ...STEPS.map(({ after }) => after)];
    const may = openings.slice(steps, steps + 2).map((each) => JSON.stringify(sorted(each)));
    assert.ok(may.includes(there), `after ${steps} steps there is ${there}`);
    assert.deepEqual(await archive.checkObjects(() => undefined), [], 'taken for damage');
    const kept = archive.kept();
    const numbers = kept.map(({ number }) => number);
    assert.equal(new Set(numbers).size, numbers.length, 'a number twice');
    for (const said of everPut(steps)) {
      const sums = [slotOf(said), catalogueOf(said)].map(checksumOf);
      const copies = kept.filter(({ sha256, bytes }) => sums.includes(sha256) && bytes > 0);
      // Older receivers kept nothing, and what is there needs no copy before it is replaced.
      assert.ok(copies.length > 0 || there.includes(`"${said}"`), `after ${steps} steps "${said}" is not kept`);
    }
  } finally {
    await archive.close();
  }
}

function sorted({ catalogue, slots }: Opening): Opening {
  return { catalogue, slots: Object.fromEntries(Object.entries(slots).sort(([a], [b]) => (a < b ? -1 : 1))) };
}
