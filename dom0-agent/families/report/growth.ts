/** Change and growth of one volume: a bar for what each session stores, a line for what all of them take together. */
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import type { ReportedSession } from './document.ts';
import { markup, type Html } from './html.ts';

const WIDTH = 312;
const HEIGHT = 90;
/** The most bars: of more sessions, only the newest. */
const MOST = 78;

/** Heights of bars are logarithmic, since a full session is a thousand times larger than others; the line is not. */
export function growth(sessions: readonly ReportedSession[]): Html {
  const shown = sessions.slice(-MOST);
  const before = sessions.slice(0, -shown.length).reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const totals: number[] = [];
  for (const { storedBytes } of shown) totals.push((totals.at(-1) ?? before) + storedBytes);
  const last = totals.at(-1) ?? 0;
  const largest = Math.max(1, ...shown.map(({ storedBytes }) => storedBytes));
  const step = WIDTH / Math.max(1, shown.length);
  const bars = shown.map(({ session, storedBytes, changedBytes, prunable }, at) => {
    const height = Math.max(1, (HEIGHT * Math.log(1 + storedBytes)) / Math.log(1 + largest));
    const going = prunable ? ', would be pruned' : '';
    const title = `${session}: ${formatBytes(changedBytes)} changed, ${formatBytes(storedBytes)} stored${going}`;
    return markup`<rect
      x="${fixed(at * step)}"
      y="${fixed(HEIGHT - height)}"
      width="${fixed(Math.max(1, Math.min(step - 1, 24)))}"
      height="${fixed(height)}"
      class="${prunable ? 'bar going' : 'bar'}"
      ><title>${title}</title></rect
    >`;
  });
  const points = totals.map(
    (total, at) => `${fixed((at + 0.5) * step)},${fixed(HEIGHT - (HEIGHT * total) / Math.max(1, last))}`,
  );
  const label = `${formatBytes(last)} stored in ${sessions.length} sessions`;
  return markup`<svg class="growth" viewBox="0 -4 ${WIDTH} ${HEIGHT + 4}" role="img" aria-label="${label}">
    ${bars}
    <polyline points="${points.join(' ')}" />
  </svg>`;
}

function fixed(value: number): string {
  return value.toFixed(1);
}
