/**
 * The metrics file: the text format of Prometheus, for the textfile collector of its node exporter. It is replaced as a
 * whole, since the collector may read it at any time.
 */
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { SparsebakError, asSparsebakError } from './errors.ts';

/** Other users may read it: the exporter runs as one. */
const MODE = 0o644;

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

/** @throws `io`, naming the file */
export function writeMetricsFile(path: string, metrics: readonly Metric[]): void {
  // Two runs may end at the same time, so each has a name of its own; the collector reads only *.prom.
  const draft = `${path}.${process.pid}.new`;
  try {
    rmSync(draft, { force: true });
    writeFileSync(draft, `${metrics.map(asLines).join('\n')}\n`, { flag: 'wx', mode: 0o600 });
    // Whatever the umask is: that of the services is 0077.
    chmodSync(draft, MODE);
    renameSync(draft, path);
  } catch (caught) {
    rmSync(draft, { force: true });
    throw new SparsebakError('io', `the metrics file cannot be written: ${asSparsebakError(caught, 'io').message}`, {
      hint: 'Make its folder, or correct metrics_file in the configuration.',
      cause: caught,
    });
  }
}

function asLines({ name, help, samples }: Metric): string {
  return [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...samples.map(({ labels, value }) => `${name}{${asLabels(labels)}} ${value}`),
  ].join('\n');
}

function asLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(
      ([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
    )
    .join(',');
}
