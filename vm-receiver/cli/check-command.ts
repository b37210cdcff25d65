import { formatBytes } from '../../shared/terminal/sizes.ts';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { EXIT_STATUS } from '../../shared/errors.ts';
import { Refusal } from '../store/refusal.ts';
import type { ArchiveStore, CheckWatcher, Damage } from '../store/store.ts';
import { describeRemedies, remedyOf } from './remedy.ts';
import { openStore } from './open-store.ts';
import { eachArchive, type Troubles } from './each-archive.ts';
import { print, table } from './output.ts';
import { Progress } from './progress.ts';
import type { Settings } from './settings.ts';
import { withArchive } from './with-stored-archive.ts';

/** How many damages are named; further ones are only counted. */
const NAMED = 10_000;

interface Report {
  readonly archive: ArchiveName;
  files: number;
  bytes: number;
  damaged: number;
  readonly damages: (Damage & { readonly remedy: string })[];
}

/** Reads every file of the archives and compares it with its checksum. */
export async function checkCommand(settings: Settings, json: boolean): Promise<number> {
  const store = openStore(settings);
  const { reports, status } = await eachArchive(store, settings, (name, troubles) =>
    withArchive(store, name, (archive) => readAll(name, archive, troubles)),
  );
  if (json) await print(`${JSON.stringify({ archives: reports })}\n`);
  else for (const report of reports) await print(describe(report));
  return reports.some(({ damaged }) => damaged > 0) ? EXIT_STATUS.integrity : status;
}

async function readAll(name: ArchiveName, archive: ArchiveStore, troubles: Troubles): Promise<Report> {
  const report: Report = { archive: name, files: 0, bytes: 0, damaged: 0, damages: [] };
  const lost: Damage[] = [];
  const volumes = [
    ...archive.volumes((volume, why) => {
      lost.push({ place: `volumes/${volume}`, kind: 'unreadable' });
      troubles.add(volume, why);
    }),
  ];
  const total = volumes.flatMap(({ sessions }) => sessions).reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const progress = new Progress(name, total);
  const watcher: CheckWatcher = {
    file(bytes) {
      report.files += 1;
      report.bytes += bytes;
      progress.show(report.bytes);
    },
    damage({ place, kind }) {
      add({ place, kind, remedy: remedyOf(place, kind) });
    },
  };
  const add = (damage: Report['damages'][number]) => {
    report.damaged += 1;
    if (report.damages.length < NAMED) report.damages.push(damage);
  };
  const objects = await archive.checkObjects((bytes) => {
    watcher.file(bytes);
  });
  for (const { place, kind, remedy } of objects) add({ place, kind, remedy });
  for (const damage of lost) watcher.damage(damage);
  for (const { volume } of volumes) {
    try {
      await archive.check(volume, watcher);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      troubles.add(volume, error);
    }
  }
  progress.end();
  return report;
}

function describe({ archive, files, bytes, damaged, damages }: Report): string {
  const found = damaged === 0 ? 'no damage' : `${damaged} damaged`;
  const summary = `${archive}: ${files} files, ${formatBytes(bytes)}, ${found}\n`;
  const rows = damages.map(({ kind, place }) => [kind, place]);
  return summary + table(['', ''], rows) + describeRemedies(damages);
}
