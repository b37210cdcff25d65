/**
 * The part of the configuration that says who is told of a run, which commands run before and after, and what counts as
 * overdue.
 */
import { DURATION, parseDuration } from '../../shared/archive/retention-values.ts';
import * as z from '../../shared/zod.ts';

/** A program with an absolute path, and its arguments. No shell is involved. */
const command = z.array(z.string()).check(
  z.minLength(1, 'must name a program'),
  z.refine(([program]) => program?.startsWith('/') === true, 'must begin with the absolute path of a program'),
);
const duration = z.string().check(z.regex(DURATION, 'must be a number and m, h, d or w, like "36h"'));
const absolute = z.string().check(z.startsWith('/', 'must be an absolute path'));

const HOOKS = ['before_send', 'after_send', 'before_volume', 'after_volume'] as const;
export type Hook = (typeof HOOKS)[number];

export const noticeFields = {
  notify: z._default(
    z.strictObject({
      on: z._default(z.enum(['failure', 'overdue', 'always']), 'failure'),
      command: z.optional(command),
      desktop: z._default(z.boolean(), false),
    }),
    { on: 'failure', desktop: false },
  ),
  hooks: z._default(
    z.strictObject({
      before_send: z.optional(command),
      after_send: z.optional(command),
      before_volume: z.optional(command),
      after_volume: z.optional(command),
      /** Seconds. */
      time_limit: z._default(z.int().check(z.minimum(1), z.maximum(86_400)), 300),
    }),
    { time_limit: 300 },
  ),
  overdue: z._default(
    z.strictObject({
      monitor: z._default(duration, '2h'),
      send: z._default(duration, '2d'),
      verify: z._default(duration, '30d'),
    }),
    { monitor: '2h', send: '2d', verify: '30d' },
  ),
  metrics_file: z.optional(absolute),
};

type Fields = z.infer<z.ZodMiniObject<typeof noticeFields>>;

export interface NoticeConfig {
  readonly on: 'failure' | 'overdue' | 'always';
  /** Gets the document of a run on standard input. */
  readonly command: readonly string[] | undefined;
  /** Show a notice to logged-in users. */
  readonly desktop: boolean;
  readonly hooks: Readonly<Partial<Record<Hook, readonly string[]>>>;
  /** Milliseconds after which a hook is ended. */
  readonly hookLimit: number;
  /** Milliseconds after which something is overdue. */
  readonly overdue: Overdue;
  /** For Prometheus' node exporter. */
  readonly metricsFile: string | undefined;
}

export interface Overdue {
  /** Since the last run that recorded changes. */
  readonly monitor: number;
  /** Since a volume was last sent, or found unchanged by a send. */
  readonly send: number;
  /** Since a volume's newest session, or a sample of it, was last proven. */
  readonly verify: number;
}

export function noticesOf({ notify, hooks, overdue, metrics_file: metricsFile }: Fields): NoticeConfig {
  const { time_limit: limit, ...commands } = hooks;
  return {
    on: notify.on,
    command: notify.command,
    desktop: notify.desktop,
    hooks: Object.fromEntries(HOOKS.flatMap((hook) => (commands[hook] === undefined ? [] : [[hook, commands[hook]]]))),
    hookLimit: limit * 1000,
    overdue: {
      monitor: parseDuration(overdue.monitor),
      send: parseDuration(overdue.send),
      verify: parseDuration(overdue.verify),
    },
    metricsFile,
  };
}
