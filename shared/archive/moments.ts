/**
 * The moments of an archive: the names that any volume has a session of, newest first, and when each was. Their order
 * is that of the names. Their times come from a clock, which may have been wrong: then the two disagree.
 */
import { UNLIKELY_STEP } from './clock-doubt.ts';
import { sessionTime, type SessionName } from './names.ts';

export interface TimedSession {
  readonly session: SessionName;
  /** When it was made, in milliseconds since 1970; undefined where nothing but its name tells. */
  readonly time?: number | undefined;
}

export interface Moment {
  readonly session: SessionName;
  /** Milliseconds since 1970: the earliest time of its sessions. */
  readonly time: number;
  /** Whether its time agrees with the order. Of two that disagree, it is the one that disagrees with fewer others. */
  readonly inOrder: boolean;
  /**
   * Milliseconds from here to the newest moment, so far as time can be believed: of moments in order, without the
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
 * Which of these numbers are in every longest subsequence that does not fall. Where two longest ones differ, nobody can
 * tell which of the numbers is wrong: so neither is taken.
 */
function agreeing(numbers: readonly number[]): boolean[] {
  const until = longestUntil(numbers);
  // From the end backwards, what must not fall must not rise.
  const from = longestUntil(numbers.map((number) => -number).reverse()).reverse();
  const longest = until.reduce((most, length) => Math.max(most, length), 0);
  /** How many numbers may stand at each place of a longest subsequence. */
  const rivals = new Map<number, number>();
  const placed = until.map((place, at) => {
    if (place + (from[at] ?? 0) - 1 !== longest) return undefined;
    rivals.set(place, (rivals.get(place) ?? 0) + 1);
    return place;
  });
  return placed.map((place) => place !== undefined && rivals.get(place) === 1);
}

/** For each number the length of the longest subsequence that ends with it and does not fall. */
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
