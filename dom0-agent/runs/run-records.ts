/**
 * When each command last ran and how it ended, and when each volume was last sent. For `doctor`, notices and metrics
 * alone: nothing relies on it, so an unreadable file counts as empty.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isId, type VolumeId } from '../../shared/archive/names.ts';
import { writeDurably } from '../../shared/durable.ts';
import * as z from '../../shared/zod.ts';
import type { RecordedCommand } from './recorded-commands.ts';

const time = z.int().check(z.minimum(0));
const run = z.strictObject({
  v: z.literal(1),
  /** Milliseconds since 1970, when it ended. */
  time,
  /** Exit status. */
  status: z.int(),
  /** When it last ended with 0. */
  done: z.nullable(time),
});
export type RunRecord = z.infer<typeof run>;

const sent = z.strictObject({ v: z.literal(1), volumes: z.record(z.string().check(z.refine(isId)), time) });

/** @param folder of the archive's state; for `monitor`, which concerns all archives, the state's own */
export function readRun(folder: string, command: RecordedCommand): RunRecord | undefined {
  return run.safeParse(readJson(runFile(folder, command))).data;
}

/** A run that ended now. */
export function noteRun(folder: string, command: RecordedCommand, now: number, status: number): void {
  const done = status === 0 ? now : (readRun(folder, command)?.done ?? null);
  write(runFile(folder, command), { v: 1, time: now, status, done } satisfies RunRecord);
}

/** When a send last had no error with each volume, in milliseconds since 1970. */
export function readSent(folder: string): ReadonlyMap<string, number> {
  const found = sent.safeParse(readJson(sentFile(folder))).data;
  return new Map(Object.entries(found?.volumes ?? {}));
}

/**
 * @param selected the volumes that the send was meant for; whether it has a new session, or was found unchanged
 * @param isAll the configuration selects no other volumes: these are forgotten
 */
export function noteSent(folder: string, now: number, selected: ReadonlyMap<VolumeId, boolean>, isAll: boolean): void {
  const before = readSent(folder);
  const volumes = Object.fromEntries(isAll ? [] : before);
  for (const [id, isSent] of selected) {
    // One that was never sent without an error is overdue from its first failure on.
    volumes[id] = isSent ? now : (before.get(id) ?? now);
  }
  write(sentFile(folder), { v: 1, volumes } satisfies z.infer<typeof sent>);
}

function runFile(folder: string, command: RecordedCommand): string {
  return join(folder, `last-${command}.json`);
}

function sentFile(folder: string): string {
  return join(folder, 'last-sent.json');
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function write(path: string, document: unknown): void {
  try {
    writeDurably(path, `${JSON.stringify(document)}\n`);
  } catch {
    // The command's own work is done; the next run notes it again.
  }
}
