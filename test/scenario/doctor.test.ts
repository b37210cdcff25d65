// doctor: what is wrong is named with its remedy, and what is well is not.

import assert from 'node:assert/strict';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { checkNode, checkPolicy } from '../../dom0-agent/families/doctor/host.ts';
import { scratchFor } from '../fixtures/scratch.ts';
import { BackupSystem } from './backup-system.ts';

interface Finding {
  readonly check: string;
  readonly verdict: 'ok' | 'note' | 'overdue' | 'failed';
  readonly message: string;
  readonly hint?: string;
}

async function findings(lab: BackupSystem, status: number, ...options: string[]): Promise<Finding[]> {
  const ran = (await lab.run(['--json', 'doctor', ...options])).expect(status);
  const { healthy, findings: found } = JSON.parse(ran.stdout) as { healthy: boolean; findings: Finding[] };
  assert.equal(healthy, status === 0);
  for (const { verdict, message, hint } of found) {
    if (verdict === 'failed' || verdict === 'overdue') assert.ok(hint !== undefined, `no remedy for: ${message}`);
  }
  return found;
}

function bad(found: readonly Finding[]): string[] {
  return found
    .filter(({ verdict }) => verdict === 'failed' || verdict === 'overdue')
    .map(({ check, verdict, message }) => `${verdict} ${check}: ${message}`);
}

async function sentSystem(t: TestContext): Promise<BackupSystem> {
  const pool = { name: 'main', type: 'file', path: scratchFor(t), volumes: ['*.img', 'c*'] } as const;
  const lab = new BackupSystem(t, { pools: [pool] });
  lab.write('a.img', Buffer.alloc(300_000, 7));
  lab.write('c', Buffer.alloc(1000, 1));
  await lab.init('--chunk-size', '64K');
  (await lab.run(['send', '--full'])).expect(0);
  (await lab.run(['monitor'])).expect(0);
  return lab;
}

describe('doctor', () => {
  it('finds nothing wrong where all is well, and counts what each pattern matched', async (t) => {
    const lab = await sentSystem(t);
    const found = await findings(lab, 0);
    assert.deepEqual(bad(found), []);
    assert.ok(found.some(({ message }) => message === '2 volumes (*.img: 1, c*: 1)'));
    assert.ok(found.some(({ check, message }) => check === 'keys' && message.includes('recovery')));
    const text = (await lab.run(['doctor'])).expect(0).stdout;
    assert.match(text, /Everything that was checked is well\.\n$/);
  });

  it('names a missing volume and an archive that does not answer, both at once', async (t) => {
    const lab = await sentSystem(t);
    rmSync(join(lab.pools[0]!.path, 'c'));
    rmSync(lab.root, { recursive: true });
    const found = bad(await findings(lab, 3));
    assert.equal(found.length, 2, found.join('\n'));
    assert.ok(found.some((text) => text.includes('c is not there')));
    assert.ok(found.some((text) => text.startsWith('failed archive laptop: ')));
    const offline = bad(await findings(lab, 3, '--offline'));
    assert.equal(offline.length, 1, 'no receiver was asked');
  });

  it('says that the archive is older than it was', async (t) => {
    const lab = await sentSystem(t);
    const before = join(lab.folder, 'before');
    cpSync(lab.root, before, { recursive: true });
    lab.write('a.img', Buffer.alloc(300_000, 9));
    (await lab.run(['send'])).expect(0);
    rmSync(lab.root, { recursive: true });
    cpSync(before, lab.root, { recursive: true });
    assert.match(bad(await findings(lab, 3)).join('\n'), /failed archive laptop: .*rolled back/);
  });

  it('says what is overdue', async (t) => {
    const lab = await sentSystem(t);
    const folder = join(lab.stateDir, 'archives/laptop');
    const run = join(folder, 'last-send.json');
    const days = 3 * 86_400_000;
    writeFileSync(
      run,
      readFileSync(run, 'utf8').replaceAll(/\d{13}/g, (time) => String(Number(time) - days)),
    );
    const sent = join(folder, 'last-sent.json');
    writeFileSync(
      sent,
      readFileSync(sent, 'utf8').replaceAll(/\d{13}/g, (time) => String(Number(time) - days)),
    );
    assert.deepEqual(bad(await findings(lab, 3, '--offline')), [
      'overdue last send: 3 days ago, status 0; last done 3 days ago',
      'overdue volumes of laptop: a.img was last sent 3 days ago',
      'overdue volumes of laptop: c was last sent 3 days ago',
    ]);
  });

  it('reports a configuration that is not valid, and what it can check without one', async (t) => {
    const lab = await sentSystem(t);
    lab.configure('nonsense = 1');
    const found = await findings(lab, 3);
    assert.match(bad(found).join('\n'), /^failed configuration: .*nonsense/s);
    assert.ok(found.some(({ check, verdict }) => check === 'node' && verdict === 'ok'));
  });

  it('knows a Node that is too old', () => {
    assert.equal(checkNode('22.14.0').verdict, 'failed');
    assert.equal(checkNode('22.15.0').verdict, 'ok');
    assert.equal(checkNode('24.0.0').verdict, 'ok');
  });

  it('knows a policy that is missing, malformed, or lets qubes call', (t) => {
    const folder = scratchFor(t);
    const file = (text: string) => {
      const path = join(folder, 'policy');
      writeFileSync(path, text);
      return path;
    };
    const own = join(import.meta.dirname, '../../qubes-rpc/policy.d/30-sparsebak.policy');
    const text = readFileSync(own, 'utf8');
    assert.equal(checkPolicy(own).verdict, 'ok');
    assert.equal(checkPolicy(join(folder, 'none')).verdict, 'failed');
    assert.equal(checkPolicy(file(`${text}\nsparsebak.Receive * work\n`)).verdict, 'failed');
    assert.match(checkPolicy(file(text.replace(/^sparsebak\.Maintain .*deny.*$/gm, ''))).message, /Maintain/);
    assert.equal(checkPolicy(file(`sparsebak.Receive * @anyvm @anyvm allow\n${text}`)).verdict, 'note');
  });

  it('tells of a unit that failed, unless the run has told that itself', async (t) => {
    const lab = await sentSystem(t);
    const notes = join(lab.folder, 'notices');
    lab.configure(`[notify]\ncommand = ["/bin/sh", "-c", "cat >> ${notes}"]\n`);
    (await lab.run(['doctor', '--failed', 'sparsebak-send.service'])).expect(0);
    assert.match(readFileSync(notes, 'utf8'), /"summary":"send ended with status 1: sparsebak-send\.service failed"/);
    rmSync(notes);
    rmSync(lab.root, { recursive: true });
    (await lab.run(['send'])).expect(5);
    const told = readFileSync(notes, 'utf8');
    (await lab.run(['doctor', '--failed', 'sparsebak-send.service'])).expect(0);
    assert.equal(readFileSync(notes, 'utf8'), told);
  });
});
