/**
 * The moments of an archive: the names of all volumes' sessions, newest first, and the time of each. They are ordered
 * by name. Their times come from a clock that may have been wrong: then times and order disagree.
 */
import { UNLIKELY_STEP } from './clock-doubt.ts';
import { sessionTime, type SessionName } from './names.ts';

export interface TimedSession {
  readonly session: SessionName;
  /** When it was made, in milliseconds since 1970; undefined if only its name is known. */
  readonly time?: number | undefined;
}

export interface Moment {
  readonly session: SessionName;
  /** Milliseconds since 1970: the earliest time of its sessions. */
  readonly time: number;
  /**
   * Whether its time agrees with the order. Of two that disagree with each other, the one that disagrees with fewer
   * others is in order.
   */
  readonly inOrder: boolean;
  /**
   * Milliseconds from here to the newest moment, as far as time is reliable: counted over moments in order, without the
   * jumps.
   */
  readonly age: number;
  /** Steps of more than UNLIKELY_STEP between here and the newest moment. */
  readonly jumps: number;
}

/** Newest first. @param sessions of all volumes, in any order */
export function momentsOf(sessions: Iterable<TimedSession>): Moment[] {
  const dated = datesOf(sessions);
  const ordered = agreeing(dated.map(({ time }) => time));
  const moments: Moment[] = [];
  let later: number | undefined;
  let age = 0;
  let jumps = 0;
  for (const [at, { session, time }] of [...dated.entries()].reverse()) {
    const inOrder = ordered[at] === true;
    if (inOrder) {
      const step = (later ?? time) - time;
      if (step > UNLIKELY_STEP) jumps++;
      else age += step;
      later = time;
    }
    moments.push({ session, time, inOrder, age, jumps });
  }
  return moments;
}

interface Dated {
  readonly session: SessionName;
  readonly time: number;
}

/** Oldest first by name. */
function datesOf(sessions: Iterable<TimedSession>): Dated[] {
  const earliest = new Map<SessionName, number>();
  for (const { session, time = Infinity } of sessions) {
    earliest.set(session, Math.min(time, earliest.get(session) ?? Infinity));
  }
  return [...earliest.keys()].sort().map((session) => {
    const time = earliest.get(session) ?? Infinity;
    return { session, time: time === Infinity ? sessionTime(session) : time };
  });
}

/**
 * Which of these numbers are in every longest non-decreasing subsequence. Where two of these differ, it is unknown
 * which number is wrong, so neither is taken.
 */
function agreeing(numbers: readonly number[]): boolean[] {
  const until = longestUntil(numbers);
  // From the end backwards, "must not fall" becomes "must not rise".
  const from = longestUntil(numbers.map((number) => -number).reverse()).reverse();
  const longest = until.reduce((most, length) => Math.max(most, length), 0);
  /** How many numbers may be at each place of a longest subsequence. */
  const rivals = new Map<number, number>();
  const placed = until.map((place, at) => {
    if (place + (from[at] ?? 0) - 1 !== longest) return undefined;
    rivals.set(place, (rivals.get(place) ?? 0) + 1);
    return place;
  });
  return placed.map((place) => place !== undefined && rivals.get(place) === 1);
}

/** For each number the length of the longest non-decreasing subsequence that ends with it. */
function longestUntil(numbers: readonly number[]): number[] {
  /** The smallest last number of such a subsequence, by its length less one. */
  const ends: number[] = [];
  return numbers.map((number) => {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? Infinity) <= number) low = middle + 1;
      else high = middle;
    }
    ends[low] = number;
    return low + 1;
  });
}
