// A clock that was wrong for one send, through the real programs: names go on from it, and no other session pays for
// it.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { nextSessionName, type SessionName } from '../../shared/archive/names.ts';
import { clockAt, clockSkip } from '../fixtures/clock.ts';
import { Random } from '../fixtures/random.ts';
import { dryRunDocument, errorDocument, pruneDocument, statusDocument } from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem } from './backup-system.ts';
import { RECEIVER } from './program.ts';

const plain = ground('plain');

const nextName = (session: string | undefined) => nextSessionName(0, session as SessionName);

class ClockLab extends BackupSystem {
  readonly #random = new Random('clock');

  /** Changes the only volume and sends it, the clock being at that time. */
  async sendAt(time: string, ...args: string[]) {
    this.env = clockAt(time);
    this.write('a.img', this.#random.bytes(1000));
    return await this.send(...args);
  }
}

async function clockLab(t: TestContext, more = ''): Promise<ClockLab> {
  // Both programs get the wrong clock, as on one computer.
  const lab = new ClockLab(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }], more, link: 'local' });
  await lab.init('--chunk-size', '64K');
  return lab;
}

describe('a clock that was wrong', { skip: clockSkip }, () => {
  test('one send in 2099 is reported, and costs no session of another day in either program', async (t) => {
    const lab = await clockLab(t, '[retention]\nkeep_daily = 5\nkeep_within = "2d"\n');
    const reports = [];
    const sessions: string[] = [];
    for (const time of [
      ...['2026-11-20T10:00:00Z', '2026-11-21T10:00:00Z', '2099-01-01T00:00:00Z'],
      ...['2026-11-22T10:00:00Z', '2026-11-23T10:00:00Z'],
    ]) {
      const { clock, session, pruned } = await lab.sendAt(time, '--full', '--autoprune');
      assert.ok(pruned!.volumes.every((volume) => volume.sessions.every((each) => !each.pruned)));
      reports.push(clock?.doubt ?? null);
      sessions.push(session!);
      lab.env = clockAt(new Date(Date.parse(time) + 3_600_000).toISOString());
      const status = await lab.ask(statusDocument, ['status']);
      assert.equal(status.clock, null, 'nothing is doubtful just after a send');
    }
    assert.deepEqual(reports, [null, null, 'much-later', 'earlier', null]);
    assert.deepEqual(sessions.slice(3), [nextName(sessions[2]), nextName(sessions[3])]);
    lab.env = clockAt('2026-11-24T10:00:00Z');
    const shown = (await lab.run(['list'])).expect(0).stdout;
    assert.match(shown, new RegExp(`${sessions[4]!} \\(2026-11-23 10:00\\)`));
    assert.ok(!shown.includes(`${sessions[1]!} (`));
    const kept = await lab.ask(pruneDocument, ['prune', '--keep-daily', '4', '--dry-run']);
    assert.ok(kept.volumes[0]!.sessions.every(({ reasons }) => reasons.includes('daily')));
    const receiver = spawnSync(
      process.execPath,
      [RECEIVER, 'prune', '--root', lab.root, '--keep-daily', '4', '--yes'],
      {
        encoding: 'utf8',
      },
    );
    assert.match(receiver.stdout, /0 of 5 sessions pruned/);
    await lab.compareAll();
  });

  test('a clock that stands before the newest session, or long after it, is said by send, dry run and status', async (t) => {
    const lab = await clockLab(t);
    await lab.sendAt('2026-11-20T10:00:00Z', '--full');
    for (const [time, doubt, words] of [
      [
        '2026-11-20T09:00:00Z',
        'earlier',
        /it says 2026-11-20 09:00 UTC, earlier than the newest session, S_20261120-10/,
      ],
      [
        '2028-01-01T00:00:00Z',
        'much-later',
        /more than 400 days after the newest session, .* made at 2026-11-20 10:00 UTC/,
      ],
      ['2027-12-01T00:00:00Z', null, undefined],
    ] as const) {
      lab.env = clockAt(time);
      for (const command of [['status'], ['send', '--dry-run'], ['send']]) {
        const text = (await lab.run(command)).expect(0).stdout;
        if (words === undefined) assert.ok(!text.includes('clock'), text);
        else assert.match(text, words);
      }
      assert.equal((await lab.ask(statusDocument, ['status'])).clock?.doubt ?? null, doubt);
      assert.equal((await lab.ask(dryRunDocument, ['send', '--dry-run'])).clock?.doubt ?? null, doubt);
      assert.equal((await lab.send()).clock?.doubt ?? null, doubt, 'again, where nothing changed');
    }
  });

  test('a clock past the year 2100 is refused until it is accepted, and uses up no names', async (t) => {
    const lab = await clockLab(t);
    const { session } = await lab.sendAt('2026-11-20T10:00:00Z', '--full');
    lab.write('a.img', Buffer.from('changed'));
    lab.env = clockAt('9999-12-31T23:00:00Z');
    const refused = (await lab.run(['--json', 'send'])).expect(1).json(errorDocument);
    assert.match(refused.error.message, /clock says 9999-12-31 23:00 UTC/);
    assert.match(refused.error.hint ?? '', /--accept-clock/);
    assert.equal((await lab.ask(statusDocument, ['status'])).clock?.doubt, 'past-2100');
    const accepted = await lab.send('--accept-clock');
    assert.equal(accepted.clock?.doubt, 'past-2100');
    assert.equal(accepted.session, nextName(session!), 'the second after the newest');
    const after = await lab.sendAt('2026-11-21T10:00:00Z');
    assert.equal(after.clock?.doubt, 'earlier');
    assert.match(after.session!, /^S_20261121-10/);
    await lab.compareAll();
  });

  test('where an older archive has a name of the year 9999, names go on from it to the last', async (t) => {
    const lab = await clockLab(t);
    await lab.sendAt('2026-11-20T10:00:00Z', '--full');
    const burned = join(lab.stateDir, 'archives/laptop/sequence');
    const [sequence] = readFileSync(burned, 'utf8').split(' ');
    writeFileSync(burned, `${sequence!} S_99991231-235957\n`);
    for (const last of ['58', '59']) {
      const { session } = await lab.sendAt('2026-11-21T10:00:00Z');
      assert.equal(session, `S_99991231-2359${last}`);
    }
    lab.write('a.img', Buffer.from('changed'));
    const none = (await lab.run(['--json', 'send'])).expect(1).json(errorDocument);
    assert.match(none.error.message, /no session can have a name after S_99991231-235959/);
    await lab.compareAll();
  });
});
