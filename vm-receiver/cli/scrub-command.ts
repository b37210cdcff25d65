import { formatBytes } from '../../shared/terminal/sizes.ts';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { EXIT_STATUS } from '../../shared/errors.ts';
import { Pace } from '../../shared/pace.ts';
import type { ArchiveStore, VolumeDamage, ArchiveDamage } from '../store/store.ts';
import { openStore } from './open-store.ts';
import { eachArchive } from './each-archive.ts';
import { updateMetrics } from './metrics.ts';
import { print, table } from './output.ts';
import { Progress } from './progress.ts';
import { describeRemedies, remedyOf } from './remedy.ts';
import type { Settings } from './settings.ts';
import { withArchive } from './with-stored-archive.ts';

export interface ScrubOptions {
  /** Milliseconds: files that were read within this time are skipped. Undefined: the configuration's value. */
  readonly every: number | undefined;
  readonly bytesPerSecond: number;
  /** Milliseconds, for all archives together. */
  readonly maxTime: number;
  /** Whether files without a checksum get one from their current content. */
  readonly renewChecksums: boolean;
}

/** How many damages are named; further ones are only counted. */
const NAMED = 10_000;

interface Report {
  readonly archive: ArchiveName;
  readonly files: number;
  readonly bytes: number;
  readonly repaired: number;
  /** Files that got a checksum. */
  readonly renewed: number;
  /** Everything was read after this; null if some files never were. */
  readonly since: string | null;
  /** Whether that is within the configured time. */
  readonly complete: boolean;
  /** False if the progress could not be saved. */
  readonly remembered: boolean;
  readonly damaged: number;
  /** Damage to catalogue and key slots. */
  readonly objects: readonly ArchiveDamage[];
  readonly damages: readonly (Omit<VolumeDamage, 'volume'> & {
    readonly volume: string;
    readonly name: string | null;
    readonly remedy: string;
  })[];
}

/** Reads files that were not read for long, and records the results. */
export async function scrubCommand(settings: Settings, options: ScrubOptions, json: boolean): Promise<number> {
  const store = openStore(settings);
  const limits = {
    ...options,
    every: options.every ?? settings.scrubEvery,
    until: performance.now() + options.maxTime,
  };
  const { reports, status } = await eachArchive(store, settings, async (name) => {
    const report = await withArchive(store, name, (archive) => scrubOne(name, archive, limits));
    if (!json) await print(describe(report));
    return report;
  });
  if (json) await print(`${JSON.stringify({ archives: reports })}\n`);
  const isWritten = await updateMetrics(store, settings);
  if (reports.some(({ damaged }) => damaged > 0)) return EXIT_STATUS.integrity;
  return status === 0 && !isWritten ? EXIT_STATUS.partial : status;
}

async function scrubOne(
  name: ArchiveName,
  archive: ArchiveStore,
  { every, bytesPerSecond, until, renewChecksums }: Limits,
): Promise<Report> {
  const now = Date.now();
  const pace = new Pace(bytesPerSecond);
  const progress = new Progress(name, totalOf(archive));
  let [files, bytes] = [0, 0];
  const {
    objects,
    damages: damages,
    repaired,
    renewed,
    since,
    remembered,
  } = await archive.scrub({
    now,
    before: now - every,
    renewChecksums,
    more: () => performance.now() < until,
    file: async (length) => {
      files += 1;
      bytes += length;
      progress.show(bytes);
      await pace.spend(length);
    },
  });
  progress.end();
  const names = new Map([...archive.volumes(NOBODY)].map((each) => [each.volume, each.name]));
  return {
    archive: name,
    files,
    bytes,
    repaired,
    renewed,
    since: since === undefined ? null : new Date(since).toISOString(),
    complete: since !== undefined && since >= now - every,
    remembered,
    damaged: objects.length + damages.length,
    objects,
    damages: damages.slice(0, NAMED).map((damage) => ({
      ...damage,
      name: names.get(damage.volume) ?? null,
      remedy: remedyOf(damage.place, damage.kind),
    })),
  };
}

interface Limits extends Omit<ScrubOptions, 'maxTime'> {
  readonly every: number;
  readonly until: number;
}

/** The scrub itself reports what is lost. */
const NOBODY = () => undefined;

function totalOf(archive: ArchiveStore): number {
  const sessions = [...archive.volumes(NOBODY)].flatMap((volume) => volume.sessions);
  return sessions.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
}

function describe(report: Report): string {
  const { archive, files, bytes, repaired, renewed, since, complete, remembered, damaged, objects, damages } = report;
  const age = since === null ? 'some of it was never read' : `everything was read since ${since}`;
  const next = remembered
    ? 'the next run continues'
    : 'the progress could not be saved in scrub/: the next run starts over';
  const rest = complete && remembered ? '' : `; ${next}`;
  const repairs = [
    repaired > 0 ? `, ${repaired} repaired from an equal chunk` : '',
    renewed > 0 ? `, ${renewed} checksums renewed` : '',
  ].join('');
  const found = damaged === 0 ? 'no damage' : `${damaged} damaged`;
  const summary = `${archive}: ${files} files read, ${formatBytes(bytes)}, ${found}${repairs}; ${age}${rest}\n`;
  const rows = damages.map(({ kind, volume, name, place, sessions }) => [
    kind,
    name ?? volume,
    place,
    sessions.length === 0 ? 'the whole volume' : `damages ${sessions.join(' ')}`,
  ]);
  const ofArchive = objects.map((each) => [
    each.kind,
    'the archive',
    each.place,
    each.repaired ? `repaired: ${each.remedy}` : '',
  ]);
  const left = [...objects.filter((each) => !each.repaired), ...damages];
  return summary + table(['', '', '', ''], [...ofArchive, ...rows]) + describeRemedies(left);
}
