// A few calls that make, resume and end sends, as an agent makes them: what faults are injected into.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import type { ArchiveStore, Damage, Store } from '../../../vm-receiver/store/store.ts';
import {
  LAPTOP,
  VOLUME,
  beginSession,
  bytes,
  catalogueOf,
  impatient,
  newArchive,
  pairingId,
  saidBy,
  sessionName,
  stored,
  takeSteps,
  text,
  textOf,
  planOf,
  range,
  zeros,
  type SessionPlan,
  type Step,
} from './small-volumes.ts';

const PLANS: readonly SessionPlan[] = [
  planOf(1, 2100, range('a', 0, 7), [{ checkpoint: 1 }], range('a', 1030), range('a', 2099)),
  planOf(2, 2100, range('b', zeros(5, 1100)), [{ checkpoint: 2 }], range('b', 2099)),
];

const CHUNKS = [0, 5, 7, 1030, 2098, 2099];
const EXPECTED: readonly (readonly (string | undefined)[])[] = [
  ['a0', undefined, 'a7', 'a1030', undefined, 'a2099'],
  ['a0', undefined, '', '', undefined, 'b2099'],
];
const CATALOGUES = ['catalogue 1', 'catalogue 2'].map((said) => catalogueOf(said));

/** What was answered so far, and so must be there for good. */
export interface Answered {
  created: boolean;
  sessions: number;
  catalogues: number;
}

/**
 * Brings the store from whatever it holds to the end of the history, noting each answer. What the store throws goes
 * out; anything that is no refusal is a fault of the store. An agent that does not resume has what there is discarded.
 */
export async function live(store: Store, answered: Answered, resumes = true): Promise<void> {
  try {
    if (!answered.created) await store.create(newArchive(), impatient);
    answered.created = true;
    const archive = await store.open(LAPTOP, impatient);
    try {
      for (const plan of PLANS) await sendOnce(archive, plan, answered, resumes);
      const replaces = createHash('sha512-256').update(CATALOGUES[0]!).digest();
      await archive.putCatalogue(replaces, CATALOGUES[1]!);
      answered.catalogues = 1;
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

/** As an agent does after any crash: resolve, then go on, begin anew, or see that it was committed. */
async function sendOnce(archive: ArchiveStore, plan: SessionPlan, answered: Answered, resumes: boolean): Promise<void> {
  const { newest, checkpoint } = await archive.resolve(VOLUME, pairingId(plan.session), resumes);
  if (newest !== undefined && newest.session >= sessionName(plan.session)) {
    assert.equal(text(newest.data), `head ${newest.session === sessionName(1) ? '1' : '2'}`);
    answered.sessions = Math.max(answered.sessions, newest.session === sessionName(1) ? 1 : 2);
    return;
  }
  const send = await beginSession(archive, { ...plan, resume: checkpoint !== undefined });
  try {
    await takeSteps(send, remaining(plan.steps, checkpoint));
    await send.commit(bytes(`head ${String(plan.session)}`), [bytes(`index ${String(plan.session)}`)]);
    answered.sessions = Math.max(answered.sessions, plan.session);
  } catch (error) {
    await send.abandon(true).catch(() => undefined);
    throw error;
  }
}

/** The steps that lie at or above a checkpoint; a run that goes over it begins there. */
function remaining(steps: readonly Step[], checkpoint: number | undefined): Step[] {
  if (checkpoint === undefined) return [...steps];
  const index = steps.findIndex((step) => 'checkpoint' in step);
  return steps.slice(index + 1);
}

/** I1 to I4: what was answered is there, and what is there is whole and right. */
export async function inspect(store: Store, answered: Readonly<Answered>): Promise<void> {
  if (!store.archives().includes(LAPTOP)) {
    assert.equal(answered.created, false, 'I2: the archive is gone');
    return;
  }
  const archive = await store.open(LAPTOP, impatient);
  try {
    const catalogue = saidBy(archive.catalogue());
    assert.ok(catalogue === 'catalogue 2' || (catalogue === 'catalogue 1' && answered.catalogues === 0), catalogue);
    assert.deepEqual(
      [...archive.slots()].map((slot) => saidBy(slot.data)),
      ['a slot'],
    );
    const heads = [...archive.heads(VOLUME, [])];
    assert.ok(
      heads.length >= answered.sessions,
      `I2: ${String(heads.length)} of ${String(answered.sessions)} sessions`,
    );
    for (const [index, { session, data }] of heads.entries()) {
      assert.equal(session, sessionName(index + 1));
      assert.equal(text(data), `head ${String(index + 1)}`);
      assert.equal(textOf(await archive.index(VOLUME, session)), `index ${String(index + 1)}`);
      const found: (string | undefined)[] = [];
      for (const chunk of CHUNKS) found.push(await stored(archive, index + 1, chunk));
      assert.deepEqual(found, EXPECTED[index], `I4: session ${String(index + 1)}`);
    }
    const damages: string[] = [];
    const damage = ({ place, kind }: Damage) => damages.push(`${kind} ${place}`);
    await archive.check(VOLUME, { damage, file: () => undefined });
    assert.deepEqual(damages, []);
  } finally {
    await archive.close();
  }
}

export function nothingAnswered(): Answered {
  return { created: false, sessions: 0, catalogues: 0 };
}
