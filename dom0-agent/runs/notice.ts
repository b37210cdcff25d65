/**
 * Tells how a run ended: to the command and the desktop that [notify] names, and in the metrics file. Whatever fails
 * here is reported by the caller; the run's own work is done.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { writeDurably } from '../../shared/durable.ts';
import type { ErrorReport } from '../../shared/errors.ts';
import { RELEASE } from '../../shared/release.ts';
import { escapeText } from '../../shared/text.ts';
import * as z from '../../shared/zod.ts';
import type { NoticeConfig } from '../config/notices.ts';
import { runCommand } from '../process/run-command.ts';
import { showOnDesktops } from './desktop.ts';

/** `failure`: not everything was done. `overdue`: the run is well, but something was not done for too long. */
export type Event = 'failure' | 'overdue' | 'success';

/** What the command of [notify] gets on standard input (docs/cli.md). */
export interface Notice {
  readonly event: Event;
  /** For people, in one line. */
  readonly summary: string;
  readonly command: string;
  readonly archive: string | null;
  readonly host: string;
  readonly release: string;
  /** When the run ended. ISO 8601. */
  readonly time: string;
  /** Exit status. */
  readonly status: number;
  /** Why the run failed as a whole. */
  readonly error?: ErrorReport;
  /** What is overdue, in words. */
  readonly overdue: readonly string[];
  /** What the command prints with --json; null if it failed before it knew. */
  readonly report: unknown;
}

export interface Told {
  readonly command: string;
  readonly archive: string | null;
  readonly status: number;
  readonly error: ErrorReport | undefined;
  readonly overdue: readonly string[];
  readonly report: unknown;
}

/** In UTF-16 code units. It is one line, and fits into a variable of the environment. */
const MAX_SUMMARY = 4000;
/** Milliseconds after which the same notice is given again. */
const REPEAT = 24 * 3_600_000;
/** Milliseconds for the command of [notify]. */
const LIMIT = 60_000;

/** @returns what went wrong with telling, in words */
export async function tell(stateDir: string, config: NoticeConfig, notice: Notice, now: number): Promise<string[]> {
  if (!isWanted(config.on, notice.event)) return [];
  if (config.command === undefined && !config.desktop) return [];
  if (isRepeated(stateDir, notice, now)) return [];
  const failures: string[] = [];
  if (config.command !== undefined) {
    const env = { SPARSEBAK_EVENT: notice.event, SPARSEBAK_SUMMARY: notice.summary };
    const input = `${JSON.stringify(notice)}\n`;
    const name = 'the command of [notify]';
    await runCommand({ name, command: config.command, env, input, limit: LIMIT }).catch((error: unknown) => {
      failures.push(error instanceof Error ? error.message : String(error));
    });
  }
  if (config.desktop)
    failures.push(...(await showOnDesktops({ isUrgent: notice.event !== 'success', summary: notice.summary })));
  // A notice that nobody got is given again by the next run.
  if (failures.length === 0) remember(stateDir, notice, now);
  return failures;
}

/** @param now when the run ended, in milliseconds since 1970 */
export function noticeOf({ command, archive, status, error, overdue, report }: Told, now: number): Notice {
  const event: Event = status !== 0 ? 'failure' : overdue.length > 0 ? 'overdue' : 'success';
  return {
    event,
    summary: escapeText(summaryOf(event, { command, status, error, overdue, report }), MAX_SUMMARY),
    command,
    archive,
    host: hostname(),
    release: RELEASE,
    time: new Date(now).toISOString(),
    status,
    ...(error === undefined ? {} : { error }),
    overdue,
    report: report ?? null,
  };
}

function summaryOf(event: Event, told: Pick<Told, 'command' | 'status' | 'error' | 'overdue' | 'report'>): string {
  const { command, status, error, overdue, report } = told;
  if (event === 'success') return `${command}: done`;
  if (event === 'overdue') return `overdue: ${overdue.join('; ')}`;
  const [first = '', ...more] = error === undefined ? failuresIn(report) : [error.message];
  const others = more.length === 0 ? '' : `; and ${more.length} more`;
  return `${command} ended with status ${status}${first === '' ? '' : `: ${first}`}${others}`;
}

const rows = z.array(z.object({ name: z.string(), error: z.optional(z.object({ message: z.string() })) }));
const hooks = z.array(z.object({ error: z.object({ message: z.string() }) }));
const reportWithRows = z.object({ volumes: z.optional(rows), sessions: z.optional(rows), hooks: z.optional(hooks) });

/** The errors of single volumes and hooks in a command's document. */
function failuresIn(report: unknown): string[] {
  const found = reportWithRows.safeParse(report).data ?? {};
  const { volumes = [], sessions = [] } = found;
  const ofVolumes = [...volumes, ...sessions].flatMap(({ name, error }) =>
    error === undefined ? [] : [error.message.includes(name) ? error.message : `${name}: ${error.message}`],
  );
  return [...ofVolumes, ...(found.hooks ?? []).map(({ error }) => error.message)];
}

function isWanted(on: NoticeConfig['on'], event: Event): boolean {
  return on === 'always' || event === 'failure' || (on === 'overdue' && event === 'overdue');
}

const memory = z.record(z.string(), z.strictObject({ digest: z.string(), time: z.int() }));

/** A timer runs many times a day, and the same trouble is told once a day. Success is told each time. */
function isRepeated(stateDir: string, notice: Notice, now: number): boolean {
  const before = recall(stateDir)[keyOf(notice)];
  // A time in the future was written while a clock was wrong.
  const isRecent = before !== undefined && before.time <= now && now - before.time < REPEAT;
  return notice.event !== 'success' && isRecent && before.digest === digestOf(notice);
}

function remember(stateDir: string, notice: Notice, now: number): void {
  const all = { ...recall(stateDir), [keyOf(notice)]: { digest: digestOf(notice), time: now } };
  writeDurably(join(stateDir, 'notices.json'), `${JSON.stringify(all)}\n`);
}

function recall(stateDir: string): z.infer<typeof memory> {
  try {
    return memory.parse(JSON.parse(readFileSync(join(stateDir, 'notices.json'), 'utf8')));
  } catch {
    return {};
  }
}

function keyOf({ command, archive }: Notice): string {
  return archive === null ? command : `${command} ${archive}`;
}

/** All of the trouble, not only what fits into the summary. */
function digestOf({ event, status, error, report, overdue }: Notice): string {
  const trouble = event === 'overdue' ? overdue : error === undefined ? failuresIn(report) : [error.message];
  // Numbers alone are left out, since ages and sizes of the same trouble differ. Those in names stay.
  const words = trouble.map((text) => text.replaceAll(/(?<!\S)\d+(?:\.\d+)?(?=[\s,;:]|$)/g, '#'));
  return createHash('sha256')
    .update(JSON.stringify([event, status, ...words]))
    .digest('hex');
}
