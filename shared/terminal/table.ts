/**
 * Rows under headings, columns lined up. On a terminal a row that is too wide would wrap, and cells would no longer be
 * below their headings. So there the table is made to fit: remarks go below their row, long names lose their middle,
 * and then whole columns are left out, which the last line reports. In a pipe or a file nothing is cut.
 */
import { escapeText } from '../text.ts';
import { cutMiddle, wrapWords } from './fit-width.ts';

export interface Table {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of numbers. */
  readonly right?: readonly number[];
  /** Columns that may be left out on a narrow terminal, in this order. */
  readonly droppable?: readonly number[];
  /** Put before each line. */
  readonly indent?: string;
}

/** The shortest that a cell is cut to, in the first column and in others. */
const SHORTEST = [16, 24] as const;
const GAP = '  ';
/** Indents a remark below its row. */
const BELOW = '    ';

interface Column {
  readonly heading: string;
  readonly cells: readonly string[];
  readonly isNumber: boolean;
  readonly shortest: number;
  readonly width: number;
  readonly place: number;
}

/**
 * @param width of the terminal in characters; undefined without a terminal. A last column without a heading has
 * remarks.
 */
export function formatTable(table: Table, width: number | undefined): string {
  const { headings, rows, right = [], droppable = [], indent = '' } = table;
  const columns = headings.map((heading, place): Column => {
    const cells = rows.map((row) => escapeText(row[place] ?? '', 4096));
    return {
      ...{ heading, cells, place, isNumber: right.includes(place) },
      shortest: SHORTEST[place === 0 ? 0 : 1],
      width: Math.max(heading.length, ...cells.map(({ length }) => length)),
    };
  });
  const room = width === undefined ? Infinity : width - indent.length;
  // If all headings are empty, their line is left out.
  const skipped = headings.every((heading) => heading === '') ? 1 : 0;
  if (totalOf(columns) <= room) return written(columns, rows.length, indent).slice(skipped).join('\n');
  const last = columns.at(-1);
  const remarks = last?.heading === '' ? last.cells : undefined;
  const shown = fitted(remarks === undefined ? columns : columns.slice(0, -1), droppable, room);
  const lines = written(shown, rows.length, indent).flatMap((line, at) => {
    const remark = remarks?.[at - 1] ?? '';
    if (remark === '') return [line];
    return [line, ...wrapWords(remark, room - BELOW.length).map((part) => `${indent}${BELOW}${part}`)];
  });
  const gone = headings.filter((heading, place) => heading !== '' && shown.every((column) => column.place !== place));
  if (gone.length > 0) lines.push(`${indent}(not shown in ${width ?? 0} columns: ${gone.join(', ')})`);
  return lines.slice(skipped).join('\n');
}

function totalOf(columns: readonly Column[]): number {
  return columns.reduce((sum, { width }) => sum + width, 0) + GAP.length * (columns.length - 1);
}

/** Cells are cut no more than necessary, and columns dropped only if that is not enough. */
function fitted(columns: readonly Column[], droppable: readonly number[], room: number): Column[] {
  const narrowed = narrow(columns, room);
  const [first, ...more] = droppable;
  if (totalOf(narrowed) <= room || first === undefined) return narrowed;
  return fitted(
    columns.filter(({ place }) => place !== first),
    more,
    room,
  );
}

function narrow(columns: readonly Column[], room: number): Column[] {
  const narrowed = [...columns];
  for (let excess = totalOf(columns) - room; excess > 0;) {
    const [widest] = narrowed
      .filter(({ isNumber, width, shortest }) => !isNumber && width > shortest)
      .sort((a, b) => b.width - a.width);
    if (widest === undefined) break;
    const less = Math.min(excess, widest.width - widest.shortest);
    const width = widest.width - less;
    narrowed[narrowed.indexOf(widest)] = {
      ...widest,
      width,
      cells: widest.cells.map((cell) => cutMiddle(cell, width)),
    };
    excess -= less;
  }
  return narrowed;
}

/** The heading's line, then one for each row. */
function written(columns: readonly Column[], rows: number, indent: string): string[] {
  return Array.from({ length: rows + 1 }, (_, at) => {
    const cells = columns.map(({ heading, cells: all, isNumber, width }) => {
      const cell = at === 0 ? heading : (all[at - 1] ?? '');
      return isNumber ? cell.padStart(width) : cell.padEnd(width);
    });
    return `${indent}${cells.join(GAP)}`.trimEnd();
  });
}
