/**
 * A retention policy as people write it: `keep_daily = 7` in a configuration, `--keep-daily 7` on a command line.
 */
import * as z from 'zod';
import type { RetentionPolicy } from './retention.ts';
import { DURATION, parseDuration } from './retention-values.ts';

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
