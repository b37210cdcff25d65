// Any one process between a volume and its archive is killed at any moment of a send or of a reading, while bytes flow:
// then no process of either side is left, what was committed is there, and the same command again needs nothing special
// (S14, G1, I2, I3, I8, I9, W9).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { test, type TestContext } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { processesNaming } from '../../fixtures/processes.ts';
import { pause } from '../../fixtures/qubes/system.ts';
import { writeAt } from '../edits.ts';
import { sendDocument } from '../documents.ts';
import { ground } from '../mounts.ts';
import { BackupSystem } from '../backup-system.ts';
import { VAULT } from '../link.ts';
import type { Running } from '../program.ts';
import { limit } from '../../fixtures/limits.ts';

const xfs = ground('xfs', 2 * 2 ** 30);
const { skip } = xfs;
const CHUNK = 64 * 1024;
const NAMES = ['a.img', 'b.img'] as const;
/** Chunks of a volume: far more than qrexec's buffers take in. */
const CHUNKS = 100;

type Victim = 'the agent' | 'the agent, after a stop' | 'the receiver' | 'its qube' | 'qrexec-client' | 'qvm-run';

/** A send fills the pipes one way, a verify the other. */
const ROUNDS: readonly (readonly [victim: Victim, command: 'send' | 'verify'])[] = [
  ['the agent', 'send'],
  ['the agent', 'verify'],
  ['the agent, after a stop', 'send'],
  ['the agent, after a stop', 'verify'],
  ['the receiver', 'send'],
  ['its qube', 'send'],
  ['qrexec-client', 'send'],
  ['qrexec-client', 'verify'],
  ['qvm-run', 'send'],
];

interface Scene {
  readonly lab: BackupSystem;
  readonly random: Random;
  /** Milliseconds that a send of everything takes here. */
  readonly whole: number;
}

function change({ lab, random }: Omit<Scene, 'whole'>, chunks: number): void {
  for (const name of NAMES)
    writeAt(lab.path(name), random.int(CHUNKS - chunks) * CHUNK, random.bytes(chunks * CHUNK - 100));
}

async function sceneFor(t: TestContext, random: Random): Promise<Scene> {
  const lab = new BackupSystem(t, { link: 'qubes', pools: [{ name: 'main', type: 'reflink', path: xfs.folder() }] });
  for (const name of NAMES) lab.write(name, random.bytes(CHUNKS * CHUNK - 1000));
  await lab.init('--chunk-size', '64K');
  const began = performance.now();
  await lab.send('--full');
  return { lab, random, whole: performance.now() - began };
}

/** SIGKILL at once, whether it has begun what it is for or not. @returns whether it was there at all */
async function kill({ lab }: Scene, victim: Victim, { child }: Running): Promise<boolean> {
  const system = lab.qubes!;
  switch (victim) {
    case 'the agent':
      return child.kill('SIGKILL');
    case 'the agent, after a stop':
      // Nobody takes anything out of the pipes any more: they fill up, as far as the receiver.
      child.kill('SIGSTOP');
      await delay(100);
      return child.kill('SIGKILL');
    case 'its qube':
      await system.kill(VAULT);
      return true;
    case 'the receiver':
      return system.services(VAULT).some((pid) => end(pid));
    case 'qrexec-client':
    case 'qvm-run':
      return system
        .processes()
        .filter(({ command }) => command.includes(`${victim}.ts`))
        .some(({ pid }) => end(pid));
  }
}

function end(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

/** Until the agent, dom0's programs and all that ran in the qube are gone. */
async function nobodyLeft({ lab }: Scene): Promise<void> {
  const left = () => [...processesNaming(lab.folder), ...lab.qubes!.processes()];
  const deadline = Date.now() + 60_000;
  while (left().length > 0 && Date.now() < deadline) await pause();
  assert.deepEqual(left(), [], 'processes that nobody has to do with any more');
}

/** What was committed before is what it was: one of the sessions, at random. */
async function compareOne({ lab, random }: Scene): Promise<void> {
  const name = random.pick(NAMES);
  const [session, copy] = random.pick([...lab.kept.get(name)!]);
  assert.ok((await lab.restore(name, session)).equals(readFileSync(copy)), `${name} at ${session}`);
  lab.compared++;
}

/** One round. @returns whether the command was cut off */
async function round(scene: Scene, victim: Victim, command: 'send' | 'verify'): Promise<boolean> {
  const { lab, random, whole } = scene;
  change(scene, command === 'send' ? CHUNKS - 1 : 1);
  const then = new Map<string, Buffer>(NAMES.map((name) => [name, readFileSync(lab.path(name))]));
  lab.configure(victim === 'qvm-run' ? 'qubes_client = "qvm-run"' : '');
  const running = lab.start([command, '--json']);
  while (lab.qubes!.services(VAULT).length === 0 && running.child.exitCode === null) await pause();
  await delay(random.int(Math.ceil(whole / 2)));
  const there = await kill(scene, victim, running);
  const { status, signal } = await running.ended;
  const cutOff = status !== 0;
  if (victim.startsWith('the agent')) assert.ok(signal === 'SIGKILL' || !cutOff);
  else if (there) assert.ok(status === 5 || !cutOff, `${victim} killed: ${String(status ?? signal)}`);
  await nobodyLeft(scene);
  lab.configure();
  await compareOne(scene);
  change(scene, 1);
  const sent = (await lab.run(['send', '--json'])).expect(0).json(sendDocument);
  for (const { kind, compared } of sent.volumes) {
    assert.deepEqual({ kind, compared }, { kind: 'incremental', compared: false });
  }
  // What it committed without a chance to say so.
  for (const { name, sessions } of (await lab.list()).volumes) {
    const known = lab.kept.get(name)!;
    for (const { session } of sessions) {
      if (!known.has(session) && session !== sent.session) lab.keepBytes(name, session, then.get(name)!);
    }
  }
  lab.keep(sent);
  lab.assertNothingStray();
  return cutOff;
}

test(
  'S14 G1 I2 I3 I8 I9 W9 at random moments under load, on either side and between',
  { skip, timeout: limit(600_000) },
  async (t) => {
    const random = new Random('killed over qrexec');
    const scene = await sceneFor(t, random);
    let cuts = 0;
    for (const [victim, command] of ROUNDS) if (await round(scene, victim, command)) cuts++;
    await compareOne(scene);
    await scene.lab.verifyAll();
    t.diagnostic(`${ROUNDS.length} rounds, ${cuts} cut off, ${scene.lab.compared} sessions compared`);
    assert.ok(cuts >= ROUNDS.length / 2, `${cuts} were cut off`);
  },
);
