// A terminal's lines as an SVG that plays once: each line appears when it did, and then stays.

export interface Shown {
  readonly command: string;
  /** What stayed on the terminal, with colours (SGR). */
  readonly lines: readonly string[];
  /** How long the command took. */
  readonly seconds: number;
}

const CHARACTER = 8.4;
const LINE = 18;
const MARGIN = 14;
/** Seconds in which a command is typed, and in which its output can be read. */
const TYPING = 0.8;
const READING = 1.2;

const COLOURS: Readonly<Record<string, string>> = { 31: 'r', 32: 'g', 33: 'y', 36: 'c', 2: 'd' };

const STYLE = `text { font: 14px ui-monospace, "DejaVu Sans Mono", monospace; fill: #d6dbe1; white-space: pre; }
.p { fill: #7fd18b; } .b { font-weight: bold; } .r { fill: #ff8a80; } .g { fill: #7fd18b; } .y { fill: #e3c06f; }
.c { fill: #6fb7e9; } .d { fill: #8b949e; }
@keyframes s { from { visibility: hidden; } to { visibility: visible; } }
@media (prefers-reduced-motion: no-preference) { g { animation: s 0.01s both; } }`;

export function drawing(all: readonly Shown[], columns: number): string {
  const parts: string[] = [];
  let row = 0;
  let time = 0.3;
  const line = (content: string) => {
    row += 1;
    return `<text x="${MARGIN}" y="${MARGIN + row * LINE - 4}">${content}</text>`;
  };
  const group = (content: string) => parts.push(`<g style="animation-delay: ${time.toFixed(2)}s">${content}</g>`);
  for (const { command, lines, seconds } of all) {
    group(line(`<tspan class="p">$ </tspan><tspan class="b">${escaped(command)}</tspan>`));
    time += TYPING + Math.min(2, seconds);
    const rows = lines.flatMap((text) => wrapped(text, columns));
    group(rows.map((text) => line(coloured(text))).join('\n'));
    time += READING;
    row += 0.5;
  }
  const width = Math.ceil(2 * MARGIN + columns * CHARACTER);
  const height = Math.ceil(2 * MARGIN + row * LINE);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<title>sparsebak in a terminal: ${escaped(all.map(({ command }) => command).join('; '))}</title>`,
    `<style>${STYLE}</style>`,
    `<rect width="${width}" height="${height}" rx="8" fill="#161b22"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** As a terminal continues a line that is too long. Lines with colours are made to fit. */
function wrapped(text: string, columns: number): string[] {
  if (text.includes('\u001b') || text.length <= columns) return [text];
  return [text.slice(0, columns), ...wrapped(text.slice(columns), columns)];
}

function coloured(text: string): string {
  const [first = '', ...pieces] = text.split('\u001b[');
  const rest = pieces.map((piece) => {
    const [, code = '', shown = ''] = /^([0-9;]*)m(.*)$/.exec(piece) ?? [];
    const name = COLOURS[code];
    return name === undefined || shown === '' ? escaped(shown) : `<tspan class="${name}">${escaped(shown)}</tspan>`;
  });
  return escaped(first) + rest.join('');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
