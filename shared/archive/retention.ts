/**
 * Which sessions stay, by a policy: pure, so that the agent and the receiver come to the same.
 *
 * A policy chooses moments, not sessions. A moment is a name that any volume has a session of; of each bucket (an hour, a day …) the newest
 * one is chosen. A volume keeps what it was at each chosen moment: its newest session at or before that. So all volumes can
 * be had as they were at the same moments, though each has a session only where it changed.
 *
 * Time is what the names say, UTC, and "now" is the newest name: no clock is asked.
 */
import { sessionTime, type SessionName } from './names.ts';

export const BUCKETS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type Bucket = (typeof BUCKETS)[number];

/** What is to be kept: all that any of these asks for. */
export type RetentionPolicy = {
  /** The newest moments, so many. */
  readonly last?: number | undefined;
  /** Milliseconds back from the newest session. */
  readonly within?: number | undefined;
  /** Moments whose sessions have one of these tags. */
  readonly tags?: readonly string[] | undefined;
} & Readonly<Partial<Record<Bucket, number | undefined>>>;

export interface Retained {
  readonly session: SessionName;
  readonly tags?: readonly string[];
  readonly protected?: boolean;
}

/** Why a session stays. */
export type Reason = 'last' | Bucket | 'within' | 'tag' | 'protected' | 'newest' | 'min-keep';

export interface Verdict {
  readonly session: SessionName;
  /** Empty for one that goes. */
  readonly reasons: readonly Reason[];
}

/** Whether it asks for anything. One that does not would have all go but the newest. */
export function isEmptyPolicy({ tags, ...counts }: RetentionPolicy): boolean {
  return (tags ?? []).length === 0 && Object.values(counts).every((count) => (count ?? 0) === 0);
}

/**
 * @param volumes the sessions of each, oldest first
 * @param minKeep so many of the newest sessions of each volume stay anyhow, at least one
 * @returns for each volume its sessions in the same order
 */
export function retain<V>(
  volumes: ReadonlyMap<V, readonly Retained[]>,
  policy: RetentionPolicy,
  minKeep: number,
): Map<V, Verdict[]> {
  const moments = chooseMoments([...volumes.values()].flat(), policy);
  return new Map([...volumes].map(([volume, sessions]) => [volume, judge(sessions, moments, minKeep)]));
}

type Reasons = ReadonlyMap<SessionName, ReadonlySet<Reason>>;

function chooseMoments(sessions: readonly Retained[], policy: RetentionPolicy): Reasons {
  const chosen = new Map<SessionName, Set<Reason>>();
  const choose = (session: SessionName, reason: Reason) => {
    chosen.set(session, (chosen.get(session) ?? new Set()).add(reason));
  };
  const newestFirst = [...new Set(sessions.map(({ session }) => session))].sort().reverse();
  for (const session of newestFirst.slice(0, policy.last ?? 0)) choose(session, 'last');
  for (const bucket of BUCKETS) {
    for (const session of newestOfEach(newestFirst, bucket, policy[bucket] ?? 0)) choose(session, bucket);
  }
  const [newest] = newestFirst;
  const { within = 0 } = policy;
  const since = newest === undefined || within === 0 ? Infinity : sessionTime(newest) - within;
  for (const session of newestFirst) if (sessionTime(session) >= since) choose(session, 'within');
  for (const { session, tags = [], ...each } of sessions) {
    if (each.protected === true) choose(session, 'protected');
    if (tags.some((tag) => policy.tags?.includes(tag) === true)) choose(session, 'tag');
  }
  return chosen;
}

/** The newest session of each of the newest `count` buckets that have any. */
function newestOfEach(newestFirst: readonly SessionName[], bucket: Bucket, count: number): SessionName[] {
  const seen = new Map<string | number, SessionName>();
  for (const session of newestFirst) {
    const key = BUCKET_OF[bucket](new Date(sessionTime(session)));
    if (seen.size === count && !seen.has(key)) break;
    if (!seen.has(key)) seen.set(key, session);
  }
  return [...seen.values()];
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
function judge(sessions: readonly Retained[], moments: Reasons, minKeep: number): Verdict[] {
  const reasons = sessions.map(() => new Set<Reason>());
  const names = sessions.map(({ session }) => session);
  for (const [moment, why] of moments) {
    const at = names.findLastIndex((session) => session <= moment);
    for (const reason of why) reasons[at]?.add(reason);
  }
  const kept = Math.max(1, minKeep);
  reasons.forEach((each, at) => {
    if (at === sessions.length - 1) each.add('newest');
    else if (at >= sessions.length - kept) each.add('min-keep');
  });
  return names.map((session, at) => ({ session, reasons: [...(reasons[at] ?? [])] }));
}
