/** What the start of a program costs: too short for one measurement, so each is repeated. */
import { measured, type Cost } from './measured.ts';
import { markdown, median } from './table.ts';
import { type Ours } from './tools/ours.ts';
import { type Place } from './tools/tool.ts';

const REPEATS = 7;

export interface Startup {
  readonly command: string;
  /** Median. */
  readonly seconds: number;
  /** Mean, since the kernel counts in ticks of 10 ms. */
  readonly cpuSeconds: number;
}

/** The median of several measurements; processor time is their mean. */
export async function repeatedly(measure: () => Promise<Cost>): Promise<Cost> {
  const costs: Cost[] = [];
  for (let at = 0; at < REPEATS; at++) costs.push(await measure());
  const [first] = costs as [Cost];
  return {
    ...first,
    seconds: median(costs.map(({ seconds }) => seconds)),
    cpuSeconds: costs.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0) / REPEATS,
    largestBytes: Math.max(...costs.map(({ largestBytes }) => largestBytes)),
  };
}

/** @param place with an archive, into which the image was sent as it is now */
export async function measureStartup(ours: Ours, place: Place): Promise<Startup[]> {
  const commands: [string, () => Promise<Cost>][] = [
    ['node -e 0', () => measured(process.execPath, ['-e', '0'])],
    ['sparsebak --version', () => ours.version(place)],
    ['sparsebak monitor, no change', () => ours.run(place, 'monitor')],
  ];
  const rows: Startup[] = [];
  for (const [command, measure] of commands) {
    const { seconds, cpuSeconds } = await repeatedly(measure);
    rows.push({ command, seconds, cpuSeconds });
  }
  return rows;
}

export function startupTable(rows: readonly Startup[]): string {
  const [node] = rows;
  return markdown(
    ['start-up', 'seconds:', '× `node -e 0`:', 'CPU seconds:'],
    rows.map(({ command, seconds, cpuSeconds }) => [
      `\`${command}\``.replace(', no change`', '`, no change'),
      seconds.toFixed(3),
      (seconds / (node?.seconds ?? NaN)).toFixed(2),
      cpuSeconds.toFixed(2),
    ]),
  );
}
