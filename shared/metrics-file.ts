/**
 * The metrics file: the text format of Prometheus, for the textfile collector of its node exporter. It is replaced as a
 * whole, since the collector may read it at any time.
 */
import { writeDurably } from './durable.ts';

/** Other users may read it: the exporter runs as one. */
const MODE = 0o644;

export interface Metric {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];
}

export function writeMetricsFile(path: string, metrics: readonly Metric[]): void {
  writeDurably(path, `${metrics.map(asLines).join('\n')}\n`, MODE);
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
