/** The receiver's metrics: the room on the backup disk, and what scrubs found. */
import { writeMetricsFile, type Metric } from '../../shared/metrics-file.ts';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { asSparsebakError } from '../../shared/errors.ts';
import type { Store } from '../store/store.ts';
import { complain } from './output.ts';
import { scrubState } from './scrub-state.ts';
import type { Settings } from './settings.ts';
import { withArchive } from './with-stored-archive.ts';

interface Found {
  readonly archive: ArchiveName;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly damaged: number;
  /** Milliseconds since 1970. */
  readonly since: number | undefined;
  readonly sessions: number;
}

/**
 * Writes the metrics file that the configuration names, if any. An archive that cannot be opened is left out.
 * @returns whether it was written, or none is wanted
 */
export async function updateMetrics(store: Store, settings: Settings): Promise<boolean> {
  const { metricsFile } = settings;
  if (metricsFile === undefined) return true;
  const found: Found[] = [];
  try {
    // All of them, whatever --archive names: the file is replaced as a whole.
    for (const archive of store.archives()) {
      const one = await measure(store, archive).catch(() => undefined);
      if (one !== undefined) found.push(one);
    }
    writeMetricsFile(metricsFile, metricsOf(found));
    return true;
  } catch (error) {
    complain(asSparsebakError(error).message);
    return false;
  }
}

async function measure(store: Store, archive: ArchiveName): Promise<Found> {
  return await withArchive(store, archive, async (open) => {
    const { totalBytes, freeBytes } = open.space();
    const sessions = [...open.volumes(() => undefined)].reduce((sum, volume) => sum + volume.sessions.length, 0);
    return { archive, totalBytes, freeBytes, sessions, ...(await scrubState(open)) };
  });
}

function metricsOf(found: readonly Found[]): Metric[] {
  const metric = (name: string, help: string, value: (each: Found) => number | undefined): Metric => ({
    name: `sparsebak_archive_${name}`,
    help,
    samples: found.flatMap((each) => {
      const number = value(each);
      return number === undefined ? [] : [{ labels: { archive: each.archive }, value: number }];
    }),
  });
  return [
    metric('disk_size_bytes', 'Size of the file system that has the archive.', ({ totalBytes }) => totalBytes),
    metric('disk_free_bytes', 'What is free there.', ({ freeBytes }) => freeBytes),
    metric('sessions', 'Sessions of all volumes.', ({ sessions }) => sessions),
    metric('damaged_files', 'Files that a scrub found damaged and that are not repaired.', ({ damaged }) => damaged),
    metric('scrubbed_timestamp_seconds', 'Everything was read after this.', ({ since }) =>
      since === undefined ? undefined : since / 1000,
    ),
  ];
}
