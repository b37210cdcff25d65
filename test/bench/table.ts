/** Tables in Markdown, as docs/performance.md has them. */
import { type Calibration } from './calibration.ts';
import { type Measurement } from './comparison.ts';

const MIB = 2 ** 20;

/** The mean of the two in the middle if they are an even number. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [below, above] = [Math.floor, Math.ceil].map((round) => sorted[round((sorted.length - 1) / 2)] ?? NaN);
  return ((below ?? NaN) + (above ?? NaN)) / 2;
}

/** @param columns their headings, with a colon at the end where figures are (they are aligned to the right) */
export function markdown(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = columns.map((column) => (column.endsWith(':') ? '---:' : '---'));
  const headings = columns.map((column) => column.replace(/:$/, ''));
  return [headings, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |\n`.replaceAll('|  |', '| |')).join('');
}

/** The figure of each run, by run. */
type Figure = (measurement: Measurement) => number;

const seconds: Figure = (measurement) => measurement.seconds;
const cpuSeconds: Figure = (measurement) => measurement.cpuSeconds;
const storedBytes: Figure = (measurement) => measurement.storedBytes;

/** One tool's measurements of one operation, by run. */
function select(measurements: readonly Measurement[], operation: string, tool: string): Measurement[] {
  return measurements
    .filter((each) => each.operation === operation && each.tool === tool)
    .sort((a, b) => a.run - b.run);
}

/** One of these by one of those, for each run. */
function ratios(these: readonly Measurement[], those: readonly Measurement[], figure: Figure): number[] {
  return these.flatMap((each) => {
    const other = those.find(({ run }) => run === each.run);
    return other === undefined ? [] : [figure(each) / figure(other)];
  });
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}

/**
 * Each operation of each tool: medians, and the median of the ratios to the first tool, each formed within one run.
 * @param tools the first one is ours
 */
export function peersTable(measurements: readonly Measurement[], tools: readonly string[]): string {
  const [ours = ''] = tools;
  const rows = distinct(measurements.map(({ operation }) => operation)).flatMap((operation) => {
    const base = select(measurements, operation, ours);
    return tools.map((tool) => {
      const these = select(measurements, operation, tool);
      const ratio = (figure: Figure) => (tool === ours ? '1' : median(ratios(these, base, figure)).toFixed(2));
      return [
        tool === ours ? operation : '',
        tool,
        median(these.map(seconds)).toFixed(2),
        ratio(seconds),
        median(these.map(cpuSeconds)).toFixed(2),
        ratio(cpuSeconds),
        (Math.max(...these.map(({ largestBytes }) => largestBytes)) / MIB).toFixed(0),
        (median(these.map(storedBytes)) / MIB).toFixed(0),
        ratio(storedBytes),
      ];
    });
  });
  return markdown(
    ['operation', 'tool', 'seconds:', '×:', 'CPU seconds:', '×:', 'largest process, MiB:', 'stored, MiB:', '×:'],
    rows,
  );
}

/** Each operation of two versions: medians, and the ratios new/old of the pairs with their spread. */
export function againstTable(measurements: readonly Measurement[], older: string, newer: string): string {
  const rows = distinct(measurements.map(({ operation }) => operation)).map((operation) => {
    const [old, now] = [older, newer].map((tool) => select(measurements, operation, tool)) as [
      Measurement[],
      Measurement[],
    ];
    const cells = (figure: Figure) => {
      const all = ratios(now, old, figure);
      return [median(old.map(figure)).toFixed(2), median(now.map(figure)).toFixed(2), spread(all), verdict(all)];
    };
    return [operation, ...cells(seconds), ...cells(cpuSeconds)];
  });
  const four = (unit: string) => [`${unit}, old:`, 'new:', 'new/old:', ''];
  return markdown(['operation', ...four('seconds'), ...four('CPU seconds')], rows);
}

function spread(all: readonly number[]): string {
  const finite = all.filter((ratio) => Number.isFinite(ratio));
  // Processor time comes in ticks of 10 ms: what takes less cannot be compared.
  if (finite.length < all.length || finite.length === 0) return 'too short';
  return `${median(finite).toFixed(2)} (${Math.min(...finite).toFixed(2)} to ${Math.max(...finite).toFixed(2)})`;
}

/** Fewer agree too easily. */
const PAIRS = 3;

function verdict(all: readonly number[]): string {
  if (all.some((ratio) => !Number.isFinite(ratio))) return '';
  if (all.length < PAIRS) return 'too few pairs';
  if (Math.min(...all) > 1) return 'more';
  return Math.max(...all) < 1 ? 'less' : 'within noise';
}

/** @param calibrations before and after */
export function calibrationTable(calibrations: readonly Calibration[]): string {
  const moments = ['before', 'after'];
  const rows = calibrations.map(({ zstd1, blake2b, sha256, aes256gcm, pipe, disk }, at) => [
    moments[at] ?? '',
    ...[zstd1, blake2b, sha256, aes256gcm, pipe, disk].map((speed) => speed.toFixed(0)),
  ]);
  return markdown(['MB/s', 'zstd:1:', 'BLAKE2b:', 'SHA-256:', 'AES-256-GCM:', 'pipe:', 'disk, with fsync:'], rows);
}
