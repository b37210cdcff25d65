import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LATEST_CLOCK, UNLIKELY_STEP } from '../../../shared/archive/clock-doubt.ts';
import { nextSessionName, type SessionName } from '../../../shared/archive/names.ts';
import {
  clockReport,
  describeClock,
  newestOf,
  refuseLateClock,
} from '../../../dom0-agent/proven-archive/clock-report.ts';

const NOW = Date.parse('2026-11-23T02:00:00Z');
const newest = { session: 'S_20261122-020000' as SessionName, time: NOW - 86_400_000 };

test('what is doubtful of a clock, to the millisecond', () => {
  const doubt = (now: number) => clockReport(now, newest)?.doubt;
  assert.equal(doubt(newest.time - 1), 'earlier');
  assert.equal(doubt(newest.time), undefined);
  assert.equal(doubt(newest.time + UNLIKELY_STEP), undefined);
  assert.equal(doubt(newest.time + UNLIKELY_STEP + 1), 'much-later');
  assert.equal(doubt(LATEST_CLOCK), 'past-2100');
  assert.equal(clockReport(NOW, undefined), null, 'a first send has nothing to compare with');
  assert.equal(clockReport(LATEST_CLOCK, undefined)?.doubt, 'past-2100');
  assert.match(
    describeClock(clockReport(0, newest)!),
    /it says 1970-01-01 00:00 UTC, earlier than the newest session, S_/,
  );
});

test('past the year 2100 it must be accepted, past the year 9999 nothing helps', () => {
  refuseLateClock(LATEST_CLOCK - 1, false);
  assert.throws(() => refuseLateClock(LATEST_CLOCK, false), { code: 'failed', hint: /--accept-clock/ });
  refuseLateClock(LATEST_CLOCK, true);
  refuseLateClock(Date.UTC(9999, 11, 31), true);
  assert.throws(() => refuseLateClock(Date.UTC(10_000, 0, 1), true), /clock says \+010000-01-01 00:00 UTC/);
});

test('the newest session is that of the highest name, at its latest time', () => {
  const at = (session: string, time: number) => ({ session: session as SessionName, time });
  const [older, one, other] = [at('S_20261122-020000', 9), at('S_20990101-000001', 3), at('S_20990101-000001', 5)];
  assert.deepEqual(newestOf([one, older, other]), other);
  assert.equal(newestOf([]), undefined);
});

test('a name is max(now, newest + 1 s), whatever the clock says, and never past the year 9999', () => {
  const name = (now: number, after?: string) => nextSessionName(now, after as SessionName | undefined);
  assert.equal(name(NOW), 'S_20261123-020000');
  assert.equal(name(NOW, 'S_20261123-020000'), 'S_20261123-020001');
  assert.equal(name(NOW, 'S_20990101-000000'), 'S_20990101-000001');
  assert.equal(name(-1), 'S_19700101-000000');
  assert.equal(name(LATEST_CLOCK - 1), 'S_20991231-235959');
  assert.equal(name(Date.UTC(9999, 0, 1)), 'S_21000101-000000');
  assert.equal(name(Date.UTC(12_000, 0, 1), 'S_20261123-020000'), 'S_20261123-020001');
  assert.equal(name(NOW, 'S_99991231-235958'), 'S_99991231-235959');
  assert.throws(() => name(NOW, 'S_99991231-235959'), { code: 'failed' });
});
