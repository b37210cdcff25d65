/** The agent's metrics: its last runs, and the age of each volume's backup. */
import { writeMetricsFile, type Metric } from '../../shared/metrics-file.ts';
import { RECORDED, type RecordedCommand } from './recorded-commands.ts';
import type { RunRecord } from './run-records.ts';
import type { VolumeAge } from './overdue.ts';

export interface ArchiveMetrics {
  readonly archive: string;
  readonly runs: Readonly<Partial<Record<RecordedCommand, RunRecord>>>;
  readonly volumes: readonly VolumeAge[];
}

export function writeMetrics(path: string, archives: readonly ArchiveMetrics[]): void {
  writeMetricsFile(path, metricsOf(archives));
}

function metricsOf(archives: readonly ArchiveMetrics[]): Metric[] {
  const runs = archives.flatMap(({ archive, runs: of }) =>
    RECORDED.flatMap((command) => (of[command] === undefined ? [] : [{ archive, command, run: of[command] }])),
  );
  const volumes = archives.flatMap(({ archive, volumes: of }) => of.map((volume) => ({ archive, volume })));
  const perVolume = (name: string, help: string, value: (volume: VolumeAge) => number | null): Metric => ({
    name: `sparsebak_volume_${name}`,
    help,
    samples: volumes.flatMap(({ archive, volume }) => {
      const found = value(volume);
      return found === null ? [] : [{ labels: { archive, volume: volume.name }, value: found }];
    }),
  });
  return [
    {
      name: 'sparsebak_run_timestamp_seconds',
      help: 'When the command last ended.',
      samples: runs.map(({ archive, command, run }) => ({ labels: { archive, command }, value: run.time / 1000 })),
    },
    {
      name: 'sparsebak_run_status',
      help: 'The exit status of the last run; 0 is done.',
      samples: runs.map(({ archive, command, run }) => ({ labels: { archive, command }, value: run.status })),
    },
    {
      name: 'sparsebak_run_done_timestamp_seconds',
      help: 'When the command last ended with status 0.',
      samples: runs.flatMap(({ archive, command, run }) =>
        run.done === null ? [] : [{ labels: { archive, command }, value: run.done / 1000 }],
      ),
    },
    perVolume('sent_timestamp_seconds', 'When the volume was last sent, or found unchanged by a send.', ({ sent }) =>
      sent === null ? null : sent / 1000,
    ),
    perVolume('proven_timestamp_seconds', 'When a session of the volume, or a sample of it, was last proven.', (age) =>
      age.proven === null ? null : age.proven / 1000,
    ),
    perVolume('overdue', '1 if the volume was not sent, or not proven, for too long.', ({ overdue }) =>
      overdue.length > 0 ? 1 : 0,
    ),
  ];
}
