// The table at the end.

export interface Cost {
  readonly what: string;
  readonly readBytes: number | undefined;
  readonly seconds: number;
  /** What a send has besides. */
  readonly sentBytes?: number;
  readonly archive?: string;
  readonly session?: string;
}

/** `12.3 MiB`. */
export function mib(bytes: number): string {
  const value = bytes / 2 ** 20;
  return `${value >= 99.5 ? value.toFixed(0) : value.toFixed(1)} MiB`;
}

/** @param stored bytes by archive and session */
export function costTable(costs: readonly Cost[], stored: ReadonlyMap<string, number>): string {
  const rows = [
    ['', 'read', 'sent', 'stored', 'time'],
    ...costs.map(({ what, readBytes, sentBytes, archive = '', session = '', seconds }) => [
      what,
      readBytes === undefined ? '?' : mib(readBytes),
      sentBytes === undefined ? '-' : mib(sentBytes),
      sentBytes === undefined ? '-' : mib(stored.get(`${archive} ${session}`) ?? 0),
      `${seconds.toFixed(1)} s`,
    ]),
  ];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('   '),
    )
    .map((line) => `  ${line}`.trimEnd())
    .join('\n');
}
