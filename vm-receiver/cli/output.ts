/**
 * What `list` and `check` print.
 */
import type { ArchiveName } from '../../shared/archive/names.ts';
import type { SparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import type { Store } from '../store/store.ts';
import type { Settings } from './settings.ts';

/** The archives that a command is about: those allowed, or all that are there. */
export function chosenArchives(store: Store, { archives }: Settings): readonly ArchiveName[] {
  return archives ?? store.archives();
}

/** Returns when the text is out: the process may end then. */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}

/** What went wrong and what to do about it, in one line. */
export function describeError({ message, hint }: SparsebakError): string {
  return escapeText(hint === undefined ? message : `${message}. ${hint}`, 4000);
}

/** Columns as wide as they need; cells may hold anything. */
export function table(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map((cell) => escapeText(cell, 4096)));
  const widths: number[] = [];
  for (const row of shown) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return shown.map((row) => `  ${line(row).trimEnd()}\n`).join('');
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** For people: `5.2 GiB`. */
export function showBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < UNITS.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}
