// One of two processes that need one lock again and again without a pause, as a send does and a monitor beside it. Each
// use adds one to a number in a file, in two steps. Ends when the lock has changed hands often enough.
//
// Arguments: `agent` or `receiver`, a folder, this process's name.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { stateLock } from '../../dom0-agent/capture/state-lock.ts';
import { systemDisk } from '../../vm-receiver/store/files/disk/disk.ts';
import { HeldLock } from '../../vm-receiver/store/files/disk/held-lock.ts';

/** How often the lock must have gone from one process to the other. */
const CHANGES = 6;

const [kind = '', folder = '', name = ''] = process.argv.slice(2);
const number = join(folder, 'number');
const users = join(folder, 'users');

function holderOf(): (work: () => Promise<void>) => Promise<void> {
  if (kind === 'agent') {
    // Less than the lock is kept where nobody is seen to wait for it.
    const lock = stateLock(folder, { waitSeconds: 9 });
    return (work) => lock.hold(work);
  }
  // Only a process that is seen to wait ever gets it.
  const kept = { idle: 1e9, turn: 300, longest: 1e9 };
  const open = () => systemDisk.open(folder, 'folder');
  const patience = { seconds: 60, signal: new AbortController().signal };
  const lock = new HeldLock(systemDisk, { name: 'it', open, lingering: { shared: kept, alone: kept } }, patience);
  return (work) => lock.during('alone', work);
}

function changes(): number {
  const all = readFileSync(users, 'utf8').trim().split('\n');
  return all.filter((user, at) => at > 0 && user !== all[at - 1]).length;
}

const hold = holderOf();
while (changes() < CHANGES) {
  await hold(async () => {
    const before = Number(readFileSync(number, 'utf8'));
    await nextTurn();
    writeFileSync(number, String(before + 1));
    appendFileSync(users, `${name}\n`);
  });
}
process.exit();
