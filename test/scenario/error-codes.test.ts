// Each code of the catalogue of errors, made by a real command: its exit status, a line that says what failed, and a
// next step.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { EXIT_STATUS, type ErrorCode } from '../../shared/errors.ts';
import { Random } from '../fixtures/random.ts';
import { scratchFor } from '../fixtures/scratch.ts';
import { errorDocument, sendDocument, unlockDocument } from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';
import { AGENT, type Ran } from './program.ts';

const plain = ground('plain');

/** Of runs that did a part of their work: the codes are in the rows of the volumes. */
const NEVER_ALONE: readonly ErrorCode[] = ['partial'];

const isRoot = process.getuid?.() === 0;

async function sentOnce(t: TestContext): Promise<BackupSystem> {
  const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }], link: 'local' });
  lab.write('a.img', new Random('error codes').bytes(100_000));
  await lab.init('--chunk-size', '64K');
  await lab.send('--full');
  return lab;
}

/** The file with the locks of the archive's state, held while `work` runs. */
async function whileLocked<T>(lab: BackupSystem, work: () => Promise<T>): Promise<T> {
  const lock = join(lab.stateDir, 'archives', lab.archive, 'lock');
  const holder = spawn('flock', [lock, 'sh', '-c', 'echo held; exec cat'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(holder.stdout, 'data');
  try {
    return await work();
  } finally {
    holder.stdin.end();
    await once(holder, 'close');
  }
}

/** A new computer that may read the archive of another one. */
function otherThan(t: TestContext, { pools, root }: BackupSystem): BackupSystem {
  return new BackupSystem(t, { pools, root, link: 'local' });
}

/** What each does to make the error; those that only look have one place together, and leave it as it was. */
const LOOKING: Partial<Record<ErrorCode, (lab: BackupSystem, t: TestContext) => Promise<Ran>>> = {
  usage: (lab) => lab.run(['--json', 'nosuch']),
  config: (lab) => lab.run(['--json', 'list', '--config', '/nonexistent']),
  'not-found': (lab) => lab.run(['--json', 'restore', 'nosuch', '--to', 'x']),
  target: (lab) => lab.run(['--json', 'restore', 'a.img', '--to', 'passphrase']),
  'wrong-passphrase': async (lab, t) => {
    writeFileSync(join(lab.folder, 'wrong'), 'wrong');
    return await otherThan(t, lab).run(['--json', 'key', 'unlock', '--passphrase-file', join(lab.folder, 'wrong')]);
  },
  // Another computer's archive has the name.
  failed: (lab, t) => otherThan(t, lab).run(['--json', 'init', '--passphrase-file', join(lab.folder, 'passphrase')]),
  source: async (lab, t) => {
    const { path } = lab.pools[0]!;
    renameSync(path, `${path}.away`);
    t.after(() => renameSync(`${path}.away`, path));
    return await lab.run(['--json', 'restore', 'a.img', '--as', 'b.img']);
  },
  io: async (lab, t) => {
    const sequence = join(lab.stateDir, 'archives', lab.archive, 'sequence');
    renameSync(sequence, `${sequence}.away`);
    mkdirSync(sequence);
    t.after(() => {
      rmSync(sequence, { recursive: true });
      renameSync(`${sequence}.away`, sequence);
    });
    return await lab.run(['--json', 'list']);
  },
  unreachable: async (lab, t) => {
    lab.configure('', 'ssh://host.invalid/srv');
    t.after(() => lab.configure());
    return await lab.run(['--json', 'list']);
  },
  protocol: async (lab) => {
    const agent = join(lab.folder, 'sparsebak.js');
    copyFileSync(AGENT, agent);
    writeFileSync(join(lab.folder, 'sparsebak-receiver.js'), 'console.log("hello ".repeat(20000));');
    return await lab.run(['--json', 'list'], { agent });
  },
  locked: (lab) => whileLocked(lab, () => lab.run(['--json', 'send', '--lock-wait', '0'])),
  interrupted: (lab) =>
    whileLocked(lab, async () => {
      const { child, ended } = lab.start(['--json', 'send', '--lock-wait', '60']);
      let said = '';
      child.stderr!.on('data', (text: string) => {
        const waited = said.includes('waiting for another command');
        said += text;
        if (!waited && said.includes('waiting for another command')) child.kill('SIGINT');
      });
      return await ended;
    }),
};

/** Those that damage something. */
const CHANGING: Partial<Record<ErrorCode, (t: TestContext) => Promise<Ran>>> = {
  integrity: async (t) => {
    const lab = await sentOnce(t);
    writeFileSync(join(lab.stateDir, 'archives', lab.archive, 'current'), 'x');
    return await lab.run(['--json', 'status']);
  },
  rollback: async (t) => {
    const lab = await sentOnce(t);
    const copy = join(lab.folder, 'copy');
    cpSync(lab.root, copy, { recursive: true });
    await changeAndSend(lab, 'rollback');
    rmSync(lab.root, { recursive: true });
    cpSync(copy, lab.root, { recursive: true });
    return await lab.run(['--json', 'list']);
  },
  fork: async (t) => {
    const { lab, theirs } = await adoptedByAnother(t);
    await changeAndSend(lab, 'fork');
    rmSync(lab.root, { recursive: true });
    renameSync(theirs, lab.root);
    return await lab.run(['--json', 'list']);
  },
  refused: async (t) => {
    const { lab, theirs } = await adoptedByAnother(t);
    rmSync(lab.root, { recursive: true });
    renameSync(theirs, lab.root);
    return await lab.run(['--json', 'tag', 'a.img', '--session', 'S_20260101-000000', '--add', 'x']);
  },
  'no-space': async (t) => {
    let disk = '';
    // Before the scratch folder is removed, so registered before it.
    t.after(() => spawnSync('umount', [disk]));
    disk = join(scratchFor(t), 'disk');
    mkdirSync(disk);
    assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]).status, 0);
    const pools = [{ name: 'main', type: 'file', path: plain.folder() }] as const;
    const lab = new BackupSystem(t, { pools, root: disk, link: 'local' });
    return await lab.run(['--json', 'init', '--passphrase-file', join(lab.folder, 'passphrase')]);
  },
};

/** The archive as it was, and aside as another computer took it over. */
async function adoptedByAnother(t: TestContext): Promise<{ lab: BackupSystem; theirs: string }> {
  const lab = await sentOnce(t);
  const other = otherThan(t, lab);
  await other.ask(unlockDocument, ['key', 'unlock', '--passphrase-file', join(lab.folder, 'passphrase')]);
  const [start, theirs] = [join(lab.folder, 'start'), join(lab.folder, 'theirs')];
  cpSync(lab.root, start, { recursive: true });
  (await other.run(['adopt', '--yes'])).expect(0);
  renameSync(lab.root, theirs);
  renameSync(start, lab.root);
  return { lab, theirs };
}

async function changeAndSend(lab: BackupSystem, seed: string): Promise<void> {
  lab.write('a.img', new Random(seed).bytes(100_000));
  await lab.send();
}

function assertExplained(ran: Ran, code: ErrorCode): void {
  ran.expect(EXIT_STATUS[code]);
  const { error } = ran.json(errorDocument);
  assert.equal(error.code, code, ran.describe());
  assert.match(error.hint ?? '', /[.:…]$/, `a sentence: ${ran.describe()}`);
  assert.match(ran.stderr, /^sparsebak: .+\n(.*\n)*? {2}→ .+/m);
}

describe('every code of the catalogue', () => {
  it('is made here', () => {
    const made = [...Object.keys(LOOKING), ...Object.keys(CHANGING), ...NEVER_ALONE].sort();
    assert.deepEqual(made, Object.keys(EXIT_STATUS).sort());
  });

  for (const code of Object.keys(CHANGING) as ErrorCode[]) {
    const skip = code === 'no-space' && !isRoot ? 'machine: not root, so no file system of its own' : false;
    it(`${code}: exit status ${EXIT_STATUS[code]}, and says what to do`, { skip }, async (t) => {
      assertExplained(await CHANGING[code]!(t), code);
    });
  }

  it('has its exit status, and says what to do', async (t) => {
    const lab = await sentOnce(t);
    for (const [code, make] of Object.entries(LOOKING)) {
      await t.test(code, async (inner) => {
        assertExplained(await make(lab, inner), code as ErrorCode);
      });
    }
  });

  it('partial: exit status 3, with a next step in each row', async (t) => {
    const lab = await sentOnce(t);
    lab.write('new.img', Buffer.from('new'));
    const ran = await lab.run(['--json', 'send']);
    const { volumes } = ran.expect(EXIT_STATUS.partial).json(sendDocument);
    const { error } = only(volumes, 'new.img');
    assert.match(`${error?.message ?? ''} ${error?.hint ?? ''}`, /--full/);
  });
});
