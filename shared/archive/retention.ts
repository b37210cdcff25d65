/**
 * Which sessions a retention policy keeps. Pure, so that agent and receiver get the same result.
 *
 * A policy chooses moments, not sessions. A moment is the name of a session of any volume; from each bucket (an hour, a
 * day …) the newest moment is chosen. A volume keeps its state at each chosen moment: its newest session at or before
 * it. So all volumes can be restored as of the same moments, although each has sessions only where it changed.
 *
 * Names only give the order. A moment's bucket is that of its time, in UTC, and "now" is the newest moment: no clock is
 * read. A clock that was wrong for a while must not cost sessions that were made while it was right. So
 *   - a moment whose time disagrees with the order of most others is chosen for its bucket in addition to those that
 *     are counted;
 *   - a step of more than 400 days from one moment to the next is not counted as elapsed time;
 *   - if there is only one bucket since such a step, it is not counted: it may be a single send with a wrong clock.
 * Each of these errs by keeping more, and only until there are as many newer moments in order as the policy asks for.
 */
import { momentsOf, type Moment, type TimedSession } from './moments.ts';
import { sessionTime, type SessionName } from './names.ts';

export const BUCKETS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type Bucket = (typeof BUCKETS)[number];

/** What to keep: every session that any of these asks for. */
export type RetentionPolicy = {
  /** How many of the newest moments. */
  readonly last?: number | undefined;
  /** Milliseconds back from the newest session. */
  readonly within?: number | undefined;
  /** Moments whose sessions have one of these tags. */
  readonly tags?: readonly string[] | undefined;
} & Readonly<Partial<Record<Bucket, number | undefined>>>;

export interface Retained extends TimedSession {
  readonly tags?: readonly string[];
  readonly protected?: boolean;
  /**
   * It has no valid head, so it cannot be restored and is not the state at any moment. It is kept, since the fault may
   * be in reading it.
   */
  readonly unproven?: boolean;
}

/** Why a session is kept. */
export type Reason = 'last' | Bucket | 'within' | 'tag' | 'protected' | 'newest' | 'min-keep' | 'unproven';

export interface Verdict {
  readonly session: SessionName;
  /** The time of its moment, in milliseconds since 1970. */
  readonly time: number;
  /** Empty if it is removed. */
  readonly reasons: readonly Reason[];
}

/**
 * How many of a volume's sessions a policy may remove at once without confirmation: half of them. A mistake in the
 * policy, or a clock that was wrong, would remove more.
 */
export function removableUnasked(sessions: number): number {
  return Math.floor(sessions / 2);
}

/** Whether it keeps nothing: it would remove all sessions but the newest. */
export function isEmptyPolicy({ tags, ...counts }: RetentionPolicy): boolean {
  return (tags ?? []).length === 0 && Object.values(counts).every((count) => (count ?? 0) === 0);
}

/**
 * @param volumes the sessions of each, oldest first
 * @param minKeep how many of the newest sessions of each volume are kept in any case, at least one
 * @returns for each volume its sessions in the same order
 */
export function retain<V>(
  volumes: ReadonlyMap<V, readonly Retained[]>,
  policy: RetentionPolicy,
  minKeep: number,
): Map<V, Verdict[]> {
  const sessions = [...volumes.values()].flat();
  const newestFirst = momentsOf(sessions.filter(({ unproven }) => unproven !== true));
  const chosen = chooseMoments(newestFirst, sessions, policy);
  const times = new Map(newestFirst.map(({ session, time }) => [session, time]));
  return new Map(
    [...volumes].map(([volume, its]) => [
      volume,
      judge(its, chosen, minKeep).map(({ session, reasons }) => {
        return { session, time: times.get(session) ?? sessionTime(session), reasons };
      }),
    ]),
  );
}

type Reasons = ReadonlyMap<SessionName, ReadonlySet<Reason>>;

function chooseMoments(
  newestFirst: readonly Moment[],
  sessions: readonly Retained[],
  policy: RetentionPolicy,
): Reasons {
  const chosen = new Map<SessionName, Set<Reason>>();
  const choose = (session: SessionName, reason: Reason) => {
    chosen.set(session, (chosen.get(session) ?? new Set()).add(reason));
  };
  for (const { session } of newestFirst.slice(0, policy.last ?? 0)) choose(session, 'last');
  for (const bucket of BUCKETS) {
    for (const session of newestOfEach(newestFirst, bucket, policy[bucket] ?? 0)) choose(session, bucket);
  }
  const { within = 0 } = policy;
  if (within > 0) for (const { session, age } of newestFirst) if (age <= within) choose(session, 'within');
  for (const { session, tags = [], ...each } of sessions) {
    if (each.protected === true) choose(session, 'protected');
    if (tags.some((tag) => policy.tags?.includes(tag) === true)) choose(session, 'tag');
  }
  return chosen;
}

/** The newest moment of each bucket, for the newest `count` buckets of moments in order. */
function newestOfEach(newestFirst: readonly Moment[], bucket: Bucket, count: number): SessionName[] {
  if (count === 0) return [];
  const keyOf = ({ time }: Moment) => BUCKET_OF[bucket](new Date(time));
  const lone = loneBucket(newestFirst, keyOf);
  const counted = new Set<number>();
  const besides = new Set<number>();
  const chosen: SessionName[] = [];
  for (const moment of newestFirst) {
    const key = keyOf(moment);
    const isCounted = moment.inOrder && key !== lone;
    const seen = isCounted ? counted : besides;
    if (seen.has(key)) continue;
    if (counted.size === count) break;
    seen.add(key);
    chosen.push(moment.session);
  }
  return chosen;
}

/** The bucket of all moments since the last jump, if there was a jump and they share one bucket. */
function loneBucket(newestFirst: readonly Moment[], keyOf: (moment: Moment) => number): number | undefined {
  if ((newestFirst.at(-1)?.jumps ?? 0) === 0) return undefined;
  const since = newestFirst.filter(({ inOrder, jumps }) => inOrder && jumps === 0).map(keyOf);
  return new Set(since).size === 1 ? since[0] : undefined;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const BUCKET_OF: Readonly<Record<Bucket, (time: Date) => number>> = {
  hourly: (time) => Math.floor(time.getTime() / HOUR),
  daily: (time) => Math.floor(time.getTime() / DAY),
  // Weeks begin on Monday; the first day of 1970 was a Thursday.
  weekly: (time) => Math.floor((time.getTime() / DAY + 3) / 7),
  monthly: (time) => time.getUTCFullYear() * 12 + time.getUTCMonth(),
  yearly: (time) => time.getUTCFullYear(),
};

/** Each chosen moment keeps the volume's newest session at or before it. */
function judge(sessions: readonly Retained[], moments: Reasons, minKeep: number): Omit<Verdict, 'time'>[] {
  const reasons = sessions.map(() => new Set<Reason>());
  for (const [moment, why] of moments) {
    const at = sessions.findLastIndex(({ session, unproven }) => session <= moment && unproven !== true);
    for (const reason of why) reasons[at]?.add(reason);
  }
  const kept = Math.max(1, minKeep);
  reasons.forEach((each, at) => {
    if (sessions[at]?.unproven === true) each.add('unproven');
    if (at === sessions.length - 1) each.add('newest');
    else if (at >= sessions.length - kept) each.add('min-keep');
  });
  return sessions.map(({ session }, at) => ({ session, reasons: [...(reasons[at] ?? [])] }));
}
