import { formatBytes } from '../../shared/terminal/sizes.ts';
import { isMisleading } from '../../shared/archive/calendar.ts';
import type { ArchiveName, SessionName } from '../../shared/archive/names.ts';
import type { Patience, Store, VolumeSummary } from '../store/store.ts';
import { openStore } from './open-store.ts';
import { eachArchive, type Troubles } from './each-archive.ts';
import { print, table } from './output.ts';
import type { Settings } from './settings.ts';

/** Lists what is on the disk: without a key it cannot be verified that it is what dom0 sent. */
export async function listCommand(settings: Settings, json: boolean): Promise<number> {
  const store = openStore(settings);
  const { reports, status } = await eachArchive(store, settings, (name, troubles) => listOne(store, name, troubles));
  if (json) {
    const archives = reports.map(({ archive, volumes }) => ({
      archive,
      volumes: volumes.map(({ volume, name, sessions }) => ({
        ...{ id: volume, name: name ?? null },
        sessions: sessions.map((each) => ({ ...each, committed: isoTime(each.committed) })),
      })),
    }));
    await print(`${JSON.stringify({ archives })}\n`);
  } else {
    for (const { archive, volumes } of reports) await print(describe(archive, volumes));
  }
  return status;
}

async function listOne(
  store: Store,
  name: ArchiveName,
  troubles: Troubles,
): Promise<{ archive: ArchiveName; volumes: VolumeSummary[] }> {
  const archive = await store.open(name, NO_WAIT);
  try {
    return { archive: name, volumes: [...archive.volumes(troubles.add)] };
  } finally {
    await archive.close();
  }
}

/** With the time of its commit, if it differs from the name. */
function withTime(session: SessionName, time: string | null): string {
  return time === null || !isMisleading(session, time)
    ? session
    : `${session} (${time.slice(0, 16).replace('T', ' ')})`;
}

/** Null if it was not recorded. */
function isoTime(milliseconds: number | undefined): string | null {
  return milliseconds === undefined ? null : new Date(milliseconds).toISOString();
}

/** Listing takes no locks. */
const NO_WAIT: Patience = { seconds: 0, signal: new AbortController().signal };

function describe(archive: ArchiveName, volumes: readonly VolumeSummary[]): string {
  const rows = volumes.flatMap(({ volume, name, sessions }) =>
    sessions.map(({ session, committed, sizeBytes, storedBytes, files }) => [
      name ?? volume,
      withTime(session, isoTime(committed)),
      formatBytes(sizeBytes),
      formatBytes(storedBytes),
      String(files),
    ]),
  );
  if (rows.length === 0) return `${archive}: no sessions\n`;
  return `${archive}\n${table(['volume', 'session', 'size', 'stored', 'chunks'], rows, [2, 3, 4])}`;
}
