import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MemoryStore } from '../../fixtures/memory-store/memory-store.ts';
import { FilesStore } from '../../../vm-receiver/store/files/files-store.ts';
import type { Store } from '../../../vm-receiver/store/store.ts';
import { Random } from '../../fixtures/random.ts';
import { MemoryDisk } from './memory-disk.ts';
import { LAPTOP, beginSession, bytes, impatient, newArchive, stored, takeSteps, type Step } from './small-volumes.ts';

/** Ten ranges: enough for runs that are looked up by what exists, and for those that are not. */
const MOST = 10_000;

/** What changes from one session to the next: a size, and pieces that become data or zeros. */
interface Change {
  readonly size: number;
  readonly pieces: readonly { readonly at: number; readonly length: number; readonly data: boolean }[];
}

const chunk = fc.oneof(fc.nat(MOST - 1), fc.constantFrom(0, 1, 1023, 1024, 2047, 2048, 5119, 5120));
const piece = fc.record({
  at: chunk,
  length: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: MOST })),
  data: fc.boolean(),
});
const change: fc.Arbitrary<Change> = fc.record({
  size: fc.oneof(fc.integer({ min: 1, max: MOST }), fc.constantFrom(1, 1024, 1025, MOST)),
  pieces: fc.array(piece, { maxLength: 6 }),
});

/** A volume's chunks by number; those that are not there are zeros. */
type Content = ReadonlyMap<number, string>;

/** The session as an agent makes it: growth is sent explicitly, a run of data is a few chunks. */
function plan({ size, pieces }: Change, before: { content: Content; size: number }, session: number) {
  const content = new Map([...before.content].filter(([at]) => at < size));
  const sent = new Map<number, string>();
  for (let at = before.size; at < size; at++) sent.set(at, '');
  for (const { at, length, data } of pieces) {
    const end = Math.min(size, at + (data ? Math.min(length, 3) : length));
    for (let each = at; each < end; each++) sent.set(each, data ? `${String(session)}:${String(each)}` : '');
  }
  const steps: Step[] = [];
  for (const at of [...sent.keys()].sort((a, b) => a - b)) {
    const data = sent.get(at) ?? '';
    const last = steps.at(-1);
    if (data !== '') {
      content.set(at, data);
      steps.push({ chunk: at, data });
      continue;
    }
    content.delete(at);
    if (last !== undefined && 'zeros' in last && last.zeros + last.count === at) {
      steps[steps.length - 1] = { zeros: last.zeros, count: last.count + 1 };
    } else {
      steps.push({ zeros: at, count: 1 });
    }
  }
  return { content, steps };
}

/** Sends the sessions to a store and compares what it has with what was meant; gives what each chunk's file is. */
async function compare(store: Store, changes: readonly Change[]): Promise<(string | undefined)[]> {
  await store.create(newArchive(), impatient);
  const archive = await store.open(LAPTOP, impatient);
  const volumes: { content: Content; size: number }[] = [];
  for (const [index, each] of changes.entries()) {
    const session = index + 1;
    const before = volumes.at(-1) ?? { content: new Map<number, string>(), size: 0 };
    const { content, steps } = plan(each, before, session);
    const send = await beginSession(archive, { base: index === 0 ? null : index, session, size: each.size, steps: [] });
    await takeSteps(send, steps);
    await send.commit(bytes('h'), []);
    volumes.push({ content, size: each.size });
  }
  const files: (string | undefined)[] = [];
  const touched = new Set(volumes.flatMap(({ content }) => [...content.keys()]));
  const looked = [...touched, ...[...touched].map((at) => at + 1), 0, MOST - 1];
  for (const [index, { content, size }] of volumes.entries()) {
    for (const at of looked) {
      if (at >= size) continue;
      const file = await stored(archive, index + 1, at);
      assert.equal(file ?? '', content.get(at) ?? '', `chunk ${String(at)} at session ${String(index + 1)}`);
      files.push(file);
    }
  }
  for (const { sessions } of archive.volumes()) {
    for (const { files: count, zeros } of sessions) files.push(`${String(count)} ${String(zeros)}`);
  }
  await archive.close();
  return files;
}

test('any history of grown, shrunk and zeroed volumes reads back as it was, with no file more than it needs', async () => {
  let chunks = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
      const plain = await compare(new MemoryStore(), changes);
      const options = { root: '/', requireMount: false, floors: { freeBytes: 0, freeInodes: 0 } };
      const files = await compare(new FilesStore(new MemoryDisk(), options), changes);
      assert.deepEqual(files, plain);
      chunks += files.length;
    }),
    { numRuns: 150, seed: new Random('overlay').seed | 0 },
  );
  assert.ok(chunks > 1000);
});
