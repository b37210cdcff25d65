/**
 * A retention policy as people write it: `keep_daily = 7` in a configuration, `--keep-daily 7` on a command line.
 */
import * as z from 'zod';
import { SparsebakError } from '../errors.ts';
import type { RetentionPolicy } from './retention.ts';

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

const count = z.number().int().min(0).max(999_999).optional();

/** The fields of a configuration. */
export const retentionFields = {
  keep_last: count,
  keep_hourly: count,
  keep_daily: count,
  keep_weekly: count,
  keep_monthly: count,
  keep_yearly: count,
  keep_within: z.string().regex(DURATION, 'must be a number and m, h, d or w, like "30d"').optional(),
};
type RetentionFields = z.infer<z.ZodObject<typeof retentionFields>>;

export function policyOf(fields: RetentionFields): RetentionPolicy {
  return {
    last: fields.keep_last,
    hourly: fields.keep_hourly,
    daily: fields.keep_daily,
    weekly: fields.keep_weekly,
    monthly: fields.keep_monthly,
    yearly: fields.keep_yearly,
    within: fields.keep_within === undefined ? undefined : parseDuration(fields.keep_within),
  };
}
