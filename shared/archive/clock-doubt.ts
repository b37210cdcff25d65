/**
 * When a computer's clock is doubted. A battery runs empty, a time server lies, a virtual machine resumes with the time
 * of its snapshot: the clock may show any time, and a send with a wrong clock must not cost other sessions.
 */

const DAY = 86_400_000;

/**
 * Milliseconds. A longer step from one session to the next is taken for a jump of the clock (or a computer that was off
 * that long): it is reported, and retention does not count it as elapsed time.
 */
export const UNLIKELY_STEP = 400 * DAY;

/** Milliseconds since 1970. A clock at or past this is refused, and no session gets a name past it. */
export const LATEST_CLOCK = Date.UTC(2100, 0, 1);

/**
 * `earlier`: than the newest session's time. `much-later`: by more than UNLIKELY_STEP. `past-2100`: at or past
 * LATEST_CLOCK.
 */
export type ClockDoubt = 'earlier' | 'much-later' | 'past-2100';

/**
 * What is doubtful about a clock.
 * @param now what the clock shows, in milliseconds since 1970
 * @param newest when the newest session was made, likewise; undefined if there is none
 */
export function doubtOf(now: number, newest: number | undefined): ClockDoubt | undefined {
  if (now >= LATEST_CLOCK) return 'past-2100';
  if (newest === undefined) return undefined;
  if (now < newest) return 'earlier';
  return now - newest > UNLIKELY_STEP ? 'much-later' : undefined;
}
