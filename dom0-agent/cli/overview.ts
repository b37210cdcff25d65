/** `status` on a terminal: a summary, and as many volumes as one screen has room for, those with a problem first. */
import type { Paint } from '../../shared/terminal/colour.ts';
import { describeOverdue, type VolumeAge } from '../runs/overdue.ts';

export interface Overviewed {
  readonly name: string;
  readonly kind: string;
  readonly error?: unknown;
  readonly changedChunks: number | null;
  readonly unfinished: string | null;
  readonly running: boolean;
}

/** Lines of a screen that are not rows of the table: headings, summary, remarks, the prompt. */
const OTHER_LINES = 8;
const USUAL_SCREEN = 24;

/** @param ages what is overdue, by this computer's records */
export function summary(
  volumes: readonly Overviewed[],
  ages: readonly VolumeAge[],
  now: number,
  paint: Paint,
): string[] {
  const kinds = [...new Set(volumes.map(({ kind }) => kind))].sort();
  const counts = kinds.map((kind) => `${volumes.filter((each) => each.kind === kind).length} ${kind}`);
  const chunks = volumes.reduce((sum, { changedChunks }) => sum + (changedChunks ?? 0), 0);
  const inFull = volumes.filter(({ kind, changedChunks }) => kind === 'saved' && changedChunks === null).length;
  const toSend = [`${chunks} chunks to send`, ...(inFull === 0 ? [] : [`${inFull} to read in full`])].join(', ');
  const overdue = describeOverdue(ages, now);
  const [first, ...more] = overdue;
  const others = more.length === 0 ? '' : `, and ${more.length} more (see "sparsebak doctor")`;
  const late = `Overdue: ${first ?? ''}${others}.`;
  return [
    `${volumes.length} ${volumes.length === 1 ? 'volume' : 'volumes'}: ${counts.join(', ')}; ${toSend}.`,
    first === undefined ? paint('green', 'Nothing is overdue.') : paint('red', late),
  ];
}

/**
 * Those that fit a screen, in their order.
 * @param linesOf how many lines the table of these volumes has
 */
export function fitScreen<T extends Overviewed>(
  volumes: readonly T[],
  rows: number | undefined,
  linesOf: (some: readonly T[]) => number,
): readonly T[] {
  const room = Math.max(4, (rows !== undefined && rows > OTHER_LINES ? rows : USUAL_SCREEN) - OTHER_LINES);
  const urgent = [...volumes].sort((a, b) => urgency(b) - urgency(a));
  for (let count = Math.min(volumes.length, room); count > 0; count--) {
    const chosen = new Set(urgent.slice(0, count));
    const shown = volumes.filter((volume) => chosen.has(volume));
    if (linesOf(shown) <= room + 1 || count === 1) return shown;
  }
  return volumes;
}

function urgency({ error, kind, unfinished, running, changedChunks }: Overviewed): number {
  if (error !== undefined) return 4;
  if (kind !== 'saved') return 3;
  if (unfinished !== null || running) return 2;
  return changedChunks === 0 ? 0 : 1;
}
