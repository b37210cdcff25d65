/** The values of a retention policy as text: durations and counts of options and configurations. */
import { SparsebakError } from '../errors.ts';

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 };

/** The form of a duration. */
export const DURATION = /^(\d{1,6})([mhdw])$/;

/** Milliseconds of `90m`, `36h`, `30d`, `8w`. @throws `usage` */
export function parseDuration(text: string): number {
  const [, count = '', unit = ''] = DURATION.exec(text) ?? [];
  if (count === '') {
    throw new SparsebakError(
      'usage',
      `"${text.slice(0, 32)}" is not a duration: give a number and m, h, d or w, like 30d`,
    );
  }
  return Number(count) * UNITS[unit as keyof typeof UNITS];
}

/**
 * The value of --keep-last and similar options. An empty or zero variable of a script must not remove sessions. @throws
 * `usage`
 */
export function parseCount(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new SparsebakError('usage', `"${text.slice(0, 32)}" is not a count`);
  if (Number(text) === 0) throw new SparsebakError('usage', '0 keeps nothing: leave the option out');
  return Number(text);
}

/** The value of --keep-within, in milliseconds. @throws `usage` */
export function parseWithin(text: string): number {
  const duration = parseDuration(text);
  if (duration === 0) throw new SparsebakError('usage', `${text} keeps nothing: leave the option out`);
  return duration;
}
