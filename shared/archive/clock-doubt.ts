/**
 * What is believed of a computer's clock. A battery runs empty, a time server lies, a virtual machine wakes up with the
 * time of its snapshot: the clock may be anywhere, and one send with a wrong one must not cost other sessions.
 */

const DAY = 86_400_000;

/**
 * Milliseconds. More than that between a session and the next one is taken for a clock that jumped (or a computer that
 * was off for as long): it is reported, and retention does not count it as time that passed.
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
 * What is doubtful of a clock.
 * @param now of the clock in doubt, in milliseconds since 1970
 * @param newest when the newest session was made, likewise; undefined where there is none
 */
export function doubtOf(now: number, newest: number | undefined): ClockDoubt | undefined {
  if (now >= LATEST_CLOCK) return 'past-2100';
  if (newest === undefined) return undefined;
  if (now < newest) return 'earlier';
  return now - newest > UNLIKELY_STEP ? 'much-later' : undefined;
}
