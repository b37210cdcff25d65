import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { calendar } from '../../../shared/archive/calendar.ts';
import { momentsOf } from '../../../shared/archive/moments.ts';
import { nextSessionName, sessionTime, type SessionName } from '../../../shared/archive/names.ts';
import { parseCount, parseDuration, parseWithin } from '../../../shared/archive/retention-values.ts';
import { policyOf, retentionFields } from '../../../shared/archive/retention-fields.ts';
import {
  BUCKETS,
  isEmptyPolicy,
  retain,
  type Bucket,
  type Retained,
  type RetentionPolicy,
} from '../../../shared/archive/retention.ts';
import { Random } from '../../fixtures/random.ts';
import * as z from '../../../shared/zod.ts';

const HOUR = 3_600_000;
const name = (iso: string) => nextSessionName(Date.parse(iso), undefined);
const one = (sessions: readonly Retained[]) => new Map([['v', sessions]]);

/** What stays of one volume, as times. */
function kept(times: readonly string[], policy: RetentionPolicy, minKeep = 1): string[] {
  const sessions = times.map((time) => ({ session: name(time) }));
  const verdicts = retain(one(sessions), policy, minKeep).get('v') ?? [];
  return times.filter((_, at) => (verdicts[at]?.reasons.length ?? 0) > 0);
}

describe('which sessions stay', () => {
  test('the newest of each hour, day, week, month and year, as many as are asked for', () => {
    const times = [
      '2024-12-29T10:00:00Z', // a Sunday
      '2024-12-30T10:00:00Z', // a Monday, of the first week of 2025
      '2025-01-05T23:59:59Z', // the Sunday after it
      '2025-01-06T00:00:00Z',
      '2025-01-06T00:59:59Z',
      '2025-01-06T01:00:00Z',
    ];
    assert.deepEqual(kept(times, { hourly: 2 }), times.slice(4));
    assert.deepEqual(kept(times, { daily: 2 }), [times[2], times[5]]);
    assert.deepEqual(kept(times, { weekly: 2 }), [times[2], times[5]]);
    assert.deepEqual(kept(times, { weekly: 3 }), [times[0], times[2], times[5]]);
    assert.deepEqual(kept(times, { monthly: 2 }), [times[1], times[5]]);
    assert.deepEqual(kept(times, { yearly: 9 }), [times[1], times[5]]);
    assert.deepEqual(kept(times, { last: 2 }), times.slice(4));
    assert.deepEqual(kept(times, { within: HOUR }), times.slice(3), 'both ends count');
    assert.deepEqual(kept(times, { last: 1 }, 3), times.slice(3), 'and as many as the receiver keeps');
  });

  test('S13: the hour that a clock shows twice, and the one that it leaves out, are hours like others', () => {
    // Central Europe put its clocks back at 01:00 UTC.
    const autumn = ['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z', '2026-10-25T02:30:00Z'];
    assert.deepEqual(kept(autumn, { hourly: 3 }), autumn);
    const spring = ['2026-03-29T00:30:00Z', '2026-03-29T01:30:00Z', '2026-03-29T02:30:00Z'];
    assert.deepEqual(kept(spring, { hourly: 3 }), spring);
    assert.deepEqual(kept([...spring, '2026-03-29T23:59:59Z'], { daily: 5 }), ['2026-03-29T23:59:59Z']);
  });

  test('a volume without a session of its own at a moment keeps what it was then', () => {
    const [day1, day2, day3] = ['2026-11-01', '2026-11-02', '2026-11-03'].map((day) => name(`${day}T02:00:00Z`)) as [
      SessionName,
      SessionName,
      SessionName,
    ];
    const volumes = new Map([
      ['changes', [day1, day2, day3].map((session) => ({ session }))],
      ['rarely', [{ session: day1 }, { session: day3 }]],
    ]);
    const verdicts = retain(volumes, { last: 2 }, 1);
    assert.deepEqual(
      verdicts.get('changes')?.map(({ reasons }) => reasons),
      [[], ['last'], ['last', 'newest']],
    );
    assert.deepEqual(
      verdicts.get('rarely')?.map(({ reasons }) => reasons),
      [['last'], ['last', 'newest']],
      'on the second day it was what it was on the first',
    );
  });

  test('a tag that is kept, and protection, keep their moment of every volume', () => {
    const sessions = ['2026-11-01', '2026-11-02', '2026-11-03'].map((day) => name(`${day}T02:00:00Z`));
    const [first, second, third] = sessions as [SessionName, SessionName, SessionName];
    const volumes = new Map<string, Retained[]>([
      ['tagged', [{ session: first }, { session: second, tags: ['before upgrade', 'x'] }, { session: third }]],
      ['other', [{ session: first, protected: true }, { session: third }]],
    ]);
    const reasons = (policy: RetentionPolicy) =>
      [...retain(volumes, policy, 1).values()].map((each) => each.map((verdict) => verdict.reasons));
    assert.deepEqual(reasons({ last: 1, tags: ['before upgrade'] }), [
      [['protected'], ['tag'], ['last', 'newest']],
      [
        ['tag', 'protected'],
        ['last', 'newest'],
      ],
    ]);
    assert.deepEqual(reasons({ last: 1, tags: ['another'] })[0], [['protected'], [], ['last', 'newest']]);
  });

  test('nothing to keep anything of', () => {
    assert.deepEqual([...retain(new Map(), { last: 1 }, 1)], []);
    assert.deepEqual(retain(one([]), { daily: 3, within: 1 }, 5).get('v'), []);
  });
});

/** Minutes of five years, dense enough for several in an hour. */
const minute = fc.oneof(
  fc.integer({ min: 0, max: 5 * 365 * 1440 }),
  fc.integer({ min: 1000, max: 1300 }),
  fc.integer({ min: 2_000_000, max: 2_010_000 }),
);
const BEGINNING = Date.parse('2024-01-01T00:00:00Z');
const drawn = fc.array(
  fc.uniqueArray(fc.tuple(minute, fc.integer({ min: 0, max: 20 })), { maxLength: 40, selector: ([at]) => at }),
  { minLength: 1, maxLength: 4 },
);
/** One session every 300 days besides: no clock that jumped. */
const REGULAR = Array.from({ length: 7 }, (_, at): [number, number] => [at * 300 * 1440 + 0.5, 20]);
/** By a clock that was never wrong. */
const archive: fc.Arbitrary<Map<number, Retained[]>> = drawn.map(
  (volumes) =>
    new Map(
      [...volumes, REGULAR].map((sessions, volume) => [
        volume,
        sessions
          .map(([at, mark]) => ({
            session: nextSessionName(BEGINNING + at * 60_000, undefined),
            protected: mark === 0,
            tags: mark === 1 ? ['keep'] : [],
          }))
          .sort((a, b) => (a.session < b.session ? -1 : 1)),
      ]),
    ),
);
const few = fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined });
const policy: fc.Arbitrary<RetentionPolicy> = fc.record({
  last: few,
  hourly: few,
  daily: few,
  weekly: few,
  monthly: few,
  yearly: few,
  within: fc.option(fc.integer({ min: 0, max: 400 * 24 * HOUR }), { nil: undefined }),
  tags: fc.constantFrom(undefined, [], ['keep']),
});
const minKeep = fc.integer({ min: 0, max: 4 });

type Kept = Map<number, SessionName[]>;

function keptOf(volumes: Map<number, Retained[]>, by: RetentionPolicy, atLeast: number): Kept {
  return new Map(
    [...retain(volumes, by, atLeast)].map(([volume, verdicts]) => [
      volume,
      verdicts.filter(({ reasons }) => reasons.length > 0).map(({ session }) => session),
    ]),
  );
}

/** What a volume is at a moment: its newest session then. */
const stateAt = (sessions: readonly SessionName[], moment: SessionName) => sessions.findLast((each) => each <= moment);

/** The bucket's name, made in another way than retention.ts does. */
function bucketName(session: SessionName, bucket: Bucket): string {
  const time = new Date(sessionTime(session));
  const iso = time.toISOString();
  if (bucket === 'weekly') {
    const thursday = new Date(time);
    thursday.setUTCDate(time.getUTCDate() - ((time.getUTCDay() + 6) % 7) + 3);
    const days = (Date.parse(thursday.toISOString().slice(0, 10)) - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / 864e5;
    return `${thursday.getUTCFullYear()}-W${1 + Math.floor(days / 7)}`;
  }
  return iso.slice(0, { hourly: 13, daily: 10, monthly: 7, yearly: 4 }[bucket]);
}

/** The moments that a policy asks for, told plainly. */
function chosenPlainly(volumes: Map<number, Retained[]>, by: RetentionPolicy): Set<SessionName> {
  const all = [...new Set([...volumes.values()].flat().map(({ session }) => session))].sort();
  const moments = new Set<SessionName>((by.last ?? 0) > 0 ? all.slice(-(by.last ?? 0)) : []);
  for (const bucket of BUCKETS) {
    const newest = new Map(all.map((session) => [bucketName(session, bucket), session]));
    const names = [...newest.keys()].sort((a, b) => ((newest.get(a) ?? '') < (newest.get(b) ?? '') ? -1 : 1));
    const count = by[bucket] ?? 0;
    for (const each of count > 0 ? names.slice(-count) : []) moments.add(newest.get(each)!);
  }
  const last = all.at(-1);
  for (const session of all) {
    if ((by.within ?? 0) > 0 && sessionTime(last!) - sessionTime(session) <= by.within!) moments.add(session);
  }
  for (const { session, tags = [], protected: isProtected } of [...volumes.values()].flat()) {
    if (isProtected === true || tags.some((tag) => by.tags?.includes(tag))) moments.add(session);
  }
  return moments;
}

describe('any archive and any policy', () => {
  const runs = { numRuns: 400, seed: new Random('retention').seed | 0 };

  test('what stays is what each volume was at the chosen moments, the newest, and nothing else', () => {
    let pruned = 0;
    fc.assert(
      fc.property(archive, policy, minKeep, (volumes, by, atLeast) => {
        const after = keptOf(volumes, by, atLeast);
        const moments = chosenPlainly(volumes, by);
        for (const [volume, retained] of volumes) {
          const sessions = retained.map(({ session }) => session);
          const expected = new Set([...moments].map((moment) => stateAt(sessions, moment)));
          for (const session of sessions.slice(-Math.max(1, atLeast))) expected.add(session);
          assert.deepEqual(
            after.get(volume),
            sessions.filter((session) => expected.has(session)),
          );
          for (const moment of moments) assert.equal(stateAt(after.get(volume)!, moment), stateAt(sessions, moment));
          pruned += sessions.length - after.get(volume)!.length;
        }
      }),
      runs,
    );
    assert.ok(pruned > 1000, `${pruned} sessions went`);
  });

  test('S13: pruning again takes nothing more, and time that passes without a session takes nothing', () => {
    fc.assert(
      fc.property(archive, policy, minKeep, (volumes, by, atLeast) => {
        const once = keptOf(volumes, by, atLeast);
        const left = new Map(
          [...volumes].map(([volume, sessions]) => [
            volume,
            sessions.filter(({ session }) => once.get(volume)!.includes(session)),
          ]),
        );
        assert.deepEqual(keptOf(left, by, atLeast), once);
      }),
      runs,
    );
  });

  test('who asks for more keeps no less', () => {
    fc.assert(
      fc.property(archive, policy, fc.constantFrom('last' as const, ...BUCKETS), (volumes, by, more) => {
        const less = keptOf(volumes, by, 1);
        const greater = keptOf(volumes, { ...by, [more]: (by[more] ?? 0) + 1 }, 1);
        for (const [volume, sessions] of less) {
          assert.ok(sessions.every((session) => greater.get(volume)!.includes(session)));
        }
      }),
      runs,
    );
  });
});

describe('a clock that was wrong', () => {
  /** One volume of which each name says where it is in the order, and each time what the clock said. */
  function keptOfTimes(times: readonly string[], by: RetentionPolicy): string[] {
    const sessions = times.map((time, at) => ({
      session: nextSessionName(BEGINNING + at * 60_000, undefined),
      time: Date.parse(time),
    }));
    const verdicts = retain(one(sessions), by, 1).get('v') ?? [];
    return times.filter((_, at) => (verdicts[at]?.reasons.length ?? 0) > 0);
  }
  const days = (first: string, count: number) =>
    Array.from({ length: count }, (_, at) => new Date(Date.parse(first) + at * 24 * HOUR).toISOString());
  const november = days('2026-11-01T10:00:00Z', 20);

  test('one send in 2099 costs no other session, not when it is the newest, and not later', () => {
    for (const wrong of ['2099-01-01T00:00:00.000Z', '1970-01-01T00:00:05.000Z', '2026-11-08T12:00:00.000Z']) {
      for (const at of [0, 1, 10, 19, 20]) {
        const times = november.toSpliced(at, 0, wrong);
        for (const by of [{ daily: 7 }, { hourly: 7 }, { weekly: 3 }, { yearly: 1 }, { within: 7 * 24 * HOUR }]) {
          const left = keptOfTimes(times, by);
          const right = keptOfTimes(november, by);
          assert.deepEqual(
            right.filter((time) => !left.includes(time)),
            [],
            `${wrong} at ${at}: ${JSON.stringify(by)}`,
          );
          const more = left.length - right.length;
          // The newest session of a volume stays anyhow. What a clock in the past leaves without order waits longer.
          if (!wrong.startsWith('1970')) assert.ok(more >= 0 && more <= 2, `${more} more`);
        }
      }
    }
  });

  test('the sessions of a wrong clock go when enough newer ones are in order', () => {
    const times = [...november.slice(0, 6), '2099-01-01T00:00:00.000Z', ...november.slice(6)];
    for (let sent = 8; sent <= times.length; sent++) {
      const left = keptOfTimes(times.slice(0, sent), { daily: 7 });
      assert.equal(left.includes('2099-01-01T00:00:00.000Z'), sent < 14, `after ${sent}`);
    }
    assert.deepEqual(keptOfTimes(times, { daily: 7 }), november.slice(-7));
  });

  test('ten days with a wrong clock: both sides keep their days until the others are the more', () => {
    const wrong = days('2099-01-01T10:00:00Z', 10);
    assert.deepEqual(keptOfTimes([...november.slice(0, 5), ...wrong], { daily: 7 }), wrong.slice(-7));
    const since = november.slice(5, 7);
    assert.deepEqual(keptOfTimes([...november.slice(0, 5), ...wrong, ...since], { daily: 7 }), [
      ...wrong.slice(-7),
      ...since,
    ]);
    assert.deepEqual(keptOfTimes([...wrong, ...november], { daily: 7 }), november.slice(-7));
  });

  test('of two that contradict each other neither is counted', () => {
    const times = ['2026-11-01T10:00:00.000Z', '2026-11-09T10:00:00.000Z', '2026-11-02T10:00:00.000Z'];
    assert.deepEqual(keptOfTimes(times, { daily: 1 }), times);
  });

  test('time in which the computer was off, or its clock jumped over, is no time that passed', () => {
    const after = ['2029-02-01T10:00:00.000Z', '2029-02-02T10:00:00.000Z'];
    const within = { within: 3 * 24 * HOUR };
    assert.deepEqual(keptOfTimes([...november, ...after.slice(0, 1)], within), [...november.slice(-4), after[0]]);
    assert.deepEqual(keptOfTimes([...november, ...after], within), [...november.slice(-3), ...after]);
    const yearly = ['2024-05-01T10:00:00.000Z', '2025-05-01T10:00:00.000Z', '2026-05-01T10:00:00.000Z'];
    assert.deepEqual(keptOfTimes([...yearly, ...after.slice(0, 1)], { yearly: 3 }), [...yearly, after[0]]);
    const later = [after[0]!, '2030-02-01T10:00:00.000Z'];
    assert.deepEqual(keptOfTimes([...yearly, ...later], { yearly: 3 }), [yearly[2], ...later]);
  });

  test('a moment was at the earliest time of its sessions, or else at that of its name', () => {
    const [first, second] = [name('2026-11-01T10:00:00Z'), name('2026-11-02T10:00:00Z')];
    const sessions = [
      { session: second, time: Date.parse('2026-11-02T14:00:00Z') },
      { session: first, time: undefined },
      { session: second, time: Date.parse('2026-11-02T11:00:00Z') },
      { session: second },
    ];
    assert.deepEqual(
      momentsOf(sessions).map(({ session, time, age }) => ({ session, time, age })),
      [
        { session: second, time: Date.parse('2026-11-02T11:00:00Z'), age: 0 },
        { session: first, time: sessionTime(first), age: 25 * HOUR },
      ],
    );
  });

  test('a session that nothing proves stands for no moment, and stays', () => {
    const sessions = november.map((time, at) => ({ session: name(time), unproven: at === 18 }));
    const verdicts = retain(one(sessions), { daily: 3 }, 1).get('v') ?? [];
    assert.deepEqual(
      verdicts.slice(-5).map(({ reasons }) => reasons),
      [[], ['daily'], ['daily'], ['unproven'], ['daily', 'newest']],
    );
  });

  const when = fc.oneof(
    fc.integer({ min: 0, max: 4e12 }),
    fc.integer({ min: 0, max: 5 * 365 * 1440 }).map((at) => BEGINNING + at * 60_000),
  );
  const runs = { numRuns: 400, seed: new Random('wrong clock').seed | 0 };

  test('wherever in the order it is, a session with a time that contradicts others costs none of them', () => {
    fc.assert(
      fc.property(archive, policy, when, fc.nat(), (volumes, by, time, place) => {
        const counted = { ...by, last: undefined };
        const names = [...new Set([...volumes.values()].flat().map(({ session }) => session))].sort();
        const before = names[place % names.length]!;
        const session = nextSessionName(sessionTime(before) + 1000, undefined);
        const next = names.find((each) => each > before);
        fc.pre(session !== next);
        const contradicts = time < sessionTime(before) || (next !== undefined && time > sessionTime(next));
        const jumps = next === undefined && time - sessionTime(before) > 400 * 24 * HOUR;
        fc.pre(contradicts || jumps);
        const without = keptOf(volumes, counted, 1);
        const withIt = keptOf(new Map([...volumes, [99, [{ session, time }]]]), counted, 1);
        for (const [volume, sessions] of without) {
          assert.ok(sessions.every((each) => withIt.get(volume)!.includes(each)));
        }
      }),
      runs,
    );
  });

  test('whatever the clocks said, who asks for more keeps no less, and each bucket has its newest', () => {
    fc.assert(
      fc.property(fc.array(when, { maxLength: 30 }), fc.constantFrom(...BUCKETS), (times, bucket) => {
        const sessions = times.map((time, at) => ({
          session: nextSessionName(BEGINNING + at * 60_000, undefined),
          time,
        }));
        let less = new Set<string>();
        for (const count of [1, 2, 3, 5, 30]) {
          const more = new Set(keptOf(new Map([[0, sessions]]), { [bucket]: count }, 1).get(0));
          assert.ok([...less].every((session) => more.has(session as SessionName)));
          less = more;
        }
        const told = new Set(times.map((time) => bucketName(nextSessionName(time, undefined), bucket)));
        const left = sessions.filter(({ session }) => less.has(session));
        assert.deepEqual(new Set(left.map(({ time }) => bucketName(nextSessionName(time, undefined), bucket))), told);
      }),
      runs,
    );
  });
});

describe('a policy in words', () => {
  test('durations, counts and fields', () => {
    assert.equal(parseDuration('36h'), 36 * HOUR);
    assert.equal(parseDuration('90m'), 1.5 * HOUR);
    assert.equal(parseDuration('30d'), 720 * HOUR);
    assert.equal(parseDuration('2w'), 336 * HOUR);
    assert.equal(parseCount('7'), 7);
    assert.equal(parseWithin('30d'), 720 * HOUR);
    assert.throws(() => parseWithin('0d'), { code: 'usage' });
    for (const wrong of ['', '30', 'd', '-1d', '1.5d', '30s', '30d ', '1234567d']) {
      assert.throws(() => parseDuration(wrong), { code: 'usage' });
    }
    for (const wrong of ['', '-1', '0', '00', '1.5', 'all', '1234567'])
      assert.throws(() => parseCount(wrong), { code: 'usage' });
    const schema = z.strictObject(retentionFields);
    assert.deepEqual(policyOf(schema.parse({ keep_daily: 7, keep_within: '2d' })), {
      last: undefined,
      hourly: undefined,
      daily: 7,
      weekly: undefined,
      monthly: undefined,
      yearly: undefined,
      within: 48 * HOUR,
    });
    for (const wrong of [{ keep_daily: -1 }, { keep_daily: 1.5 }, { keep_within: 'a month' }, { keep_dayly: 1 }]) {
      assert.ok(!schema.safeParse(wrong).success);
    }
  });

  test('one that asks for nothing is told apart', () => {
    assert.ok(isEmptyPolicy({}));
    assert.ok(isEmptyPolicy({ daily: 0, tags: [], within: undefined }));
    assert.ok(!isEmptyPolicy({ daily: 1 }));
    assert.ok(!isEmptyPolicy({ tags: ['x'] }));
  });
});

test('the calendar has a line for each day, and a sign for each moment', () => {
  const times = ['2026-11-22T23:59:59.000Z', '2026-11-23T00:00:00.000Z', '2026-11-23T12:00:00.000Z'];
  const [first, second, third] = times.map((time) => ({ session: name(time), time }));
  const misnamed = { session: name('2099-01-01T00:00:01Z'), time: '2026-11-23T13:00:00.000Z' };
  const stays = ['last' as const];
  assert.deepEqual(
    calendar([
      [
        { ...first!, reasons: [] },
        { ...second!, reasons: stays },
        { ...third!, reasons: stays },
      ],
      [
        { ...second!, reasons: [] },
        { ...third!, time: '2026-11-23T15:00:00.000Z', reasons: stays },
        { ...misnamed, reasons: stays },
      ],
    ]),
    ['2026-11-22 Sun  -23:59:59', '2026-11-23 Mon  ±00:00:00  +12:00:00  +13:00:00 (S_20990101-000001)'],
  );
});
