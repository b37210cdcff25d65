/**
 * A retention policy as people write it: `keep_daily = 7` in a configuration, `--keep-daily 7` on a command line.
 */
import * as z from '../zod.ts';
import type { RetentionPolicy } from './retention.ts';
import { DURATION, parseDuration } from './retention-values.ts';

const count = z.optional(z.int().check(z.minimum(0), z.maximum(999_999)));

/** The fields of a configuration. */
export const retentionFields = {
  keep_last: count,
  keep_hourly: count,
  keep_daily: count,
  keep_weekly: count,
  keep_monthly: count,
  keep_yearly: count,
  keep_within: z.optional(z.string().check(z.regex(DURATION, 'must be a number and m, h, d or w, like "30d"'))),
};
type RetentionFields = z.infer<z.ZodMiniObject<typeof retentionFields>>;

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
