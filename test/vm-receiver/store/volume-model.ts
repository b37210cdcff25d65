// A volume as an agent sees it: what its chunks hold at each session, and what it sends to have them so.

import { createHash } from 'node:crypto';
import { CHUNKS_PER_RANGE } from '../../../shared/archive/address.ts';
import type { Step } from './small-volumes.ts';

/** A volume's chunks by number; those that are not there are zeros. */
export type Content = ReadonlyMap<number, string>;

export interface State {
  /** In chunks. */
  readonly size: number;
  readonly content: Content;
}

export const NOTHING: State = { size: 0, content: new Map() };

/** What changes from one session to the next: a size, and pieces that become data or zeros. */
export interface Change {
  readonly size: number;
  readonly pieces: readonly Piece[];
}

export interface Piece {
  readonly at: number;
  readonly length: number;
  /** What the chunks become; zeros where it is empty. Two chunks of the same are equal. */
  readonly data: string;
}

/** At the most so many chunks of one piece are data. */
const DATA = 3;

/** The volume after a change, and the steps of the send: growth is sent explicitly, and each touched range's page. */
export function change(before: State, { size, pieces }: Change): { state: State; steps: Step[] } {
  const content = new Map([...before.content].filter(([at]) => at < size));
  const sent = new Map<number, string>();
  for (let at = before.size; at < size; at++) sent.set(at, '');
  for (const { at, length, data } of pieces) {
    const end = Math.min(size, at + (data === '' ? length : Math.min(length, DATA)));
    for (let each = at; each < end; each++) sent.set(each, data === '' ? '' : `${data} ${each % 2}`);
  }
  for (const [at, data] of sent) {
    if (data === '') content.delete(at);
    else content.set(at, data);
  }
  const state = { size, content };
  return { state, steps: stepsOf(state, sent, touched(before.size, size, sent)) };
}

function touched(before: number, size: number, sent: ReadonlyMap<number, string>): ReadonlySet<number> {
  const ranges = new Set([...sent.keys()].map(rangeOf));
  if (before !== size) for (const end of [before, size]) if (end > 0) ranges.add(rangeOf(end - 1));
  return ranges;
}

function rangeOf(chunk: number): number {
  return Math.floor(chunk / CHUNKS_PER_RANGE);
}

function stepsOf(state: State, sent: ReadonlyMap<number, string>, ranges: ReadonlySet<number>): Step[] {
  const steps: Step[] = [];
  for (const range of [...ranges].sort((a, b) => a - b)) {
    const end = Math.min(state.size, (range + 1) * CHUNKS_PER_RANGE);
    for (let at = range * CHUNKS_PER_RANGE; at < end; at++) {
      const data = sent.get(at);
      const last = steps.at(-1);
      if (data === undefined) continue;
      if (data !== '') steps.push({ chunk: at, data });
      else if (last !== undefined && 'zeros' in last && last.zeros + last.count === at) {
        steps[steps.length - 1] = { zeros: last.zeros, count: last.count + 1 };
      } else steps.push({ zeros: at, count: 1 });
    }
    const page = pageOf(state, range);
    if (page !== undefined) steps.push({ page: range, data: page });
  }
  return steps;
}

/** What a range's page is: it follows from what the range holds. Undefined for one of zeros, and past the end. */
export function pageOf({ size, content }: State, range: number): string | undefined {
  const first = range * CHUNKS_PER_RANGE;
  const entries = Math.min(CHUNKS_PER_RANGE, size - first);
  const held = [...content].filter(([at]) => rangeOf(at) === range && at < size).sort(([a], [b]) => a - b);
  if (entries <= 0 || held.length === 0) return undefined;
  return createHash('sha1')
    .update(JSON.stringify([entries, held]))
    .digest('hex');
}

export function rangesOf({ size }: State): number {
  return Math.ceil(size / CHUNKS_PER_RANGE);
}
