import { formatBytes } from '../../shared/terminal/sizes.ts';
import type { ArchiveName, VolumeId } from '../../shared/archive/names.ts';
import { isEmptyPolicy, type RetentionPolicy } from '../../shared/archive/retention.ts';
import { goingOf, planPrune } from '../retention/policy-plan.ts';
import { Refusal } from '../store/refusal.ts';
import { isPrunable } from '../store/removal-rules.ts';
import type { ArchiveStore, Space, VolumeSummary } from '../store/store.ts';
import { openStore } from './open-store.ts';
import { eachArchive, type Troubles } from './each-archive.ts';
import { print, table } from './output.ts';
import type { Settings } from './settings.ts';
import { withArchive } from './with-stored-archive.ts';

interface SessionReport {
  readonly session: string;
  readonly storedBytes: number;
  /** Bytes that only this session takes up. */
  readonly diskBytes: number;
  /** Bytes that others share. */
  readonly sharedBytes: number;
  /** Bytes that pruning only this session would free; null if it cannot be pruned. */
  readonly freedBytes: number | null;
}

interface VolumeReport {
  readonly id: string;
  readonly name: string | null;
  readonly diskBytes: number;
  readonly sharedBytes: number;
  /** Bytes of running or interrupted sends, and of removals in progress; included above. */
  readonly unfinishedBytes: number;
  readonly sessions: readonly SessionReport[];
}

interface Report extends Pick<Space, 'totalBytes' | 'freeBytes'> {
  readonly archive: ArchiveName;
  /** Bytes that the complete archive takes up, shared ones counted once. */
  readonly diskBytes: number;
  /** Bytes that sharing saves. */
  readonly savedBytes: number;
  /** Kept catalogues and key slots, and the bytes that they take up; included above. */
  readonly keptFiles: number;
  readonly keptBytes: number;
  /** Bytes that pruning by the configuration's policy would free; null if there is none. */
  readonly policyFreedBytes: number | null;
  readonly volumes: readonly VolumeReport[];
}

/** The space that each volume and session takes, and what pruning would free. */
export async function statsCommand(settings: Settings, json: boolean): Promise<number> {
  const store = openStore(settings);
  const { reports, status } = await eachArchive(store, settings, async (name, troubles) => {
    const report = await withArchive(store, name, (archive) => reportOn(name, archive, settings.retention, troubles));
    if (!json) await print(describe(report));
    return report;
  });
  if (json) await print(`${JSON.stringify({ archives: reports })}\n`);
  return status;
}

async function reportOn(
  name: ArchiveName,
  archive: ArchiveStore,
  policy: RetentionPolicy,
  troubles: Troubles,
): Promise<Report> {
  const volumes: VolumeReport[] = [];
  for (const each of archive.volumes(troubles.add)) {
    const report = await unlessRefused(each.volume, troubles, () => reportOnVolume(archive, each));
    if (report !== undefined) volumes.push(report);
  }
  const shared = await archive.sharedUsage();
  const kept = await archive.keptUsage();
  const { totalBytes, freeBytes } = archive.space();
  return {
    archive: name,
    totalBytes,
    freeBytes,
    diskBytes: volumes.reduce((sum, { diskBytes }) => sum + diskBytes, shared.diskBytes + kept.diskBytes),
    savedBytes: shared.savedBytes,
    keptFiles: kept.files,
    keptBytes: kept.diskBytes,
    policyFreedBytes: isEmptyPolicy(policy) ? null : await freedBy(archive, policy, troubles),
    volumes,
  };
}

async function reportOnVolume(archive: ArchiveStore, summary: VolumeSummary): Promise<VolumeReport> {
  const { volume, name, sessions } = summary;
  const reports: SessionReport[] = [];
  for (const { session, storedBytes } of sessions) {
    const { diskBytes, sharedBytes } = (await archive.usage(volume, session)) ?? NOTHING;
    const freedBytes = isPrunable(sessions, session, archive.rules) ? await archive.freed(volume, [session]) : null;
    reports.push({ session, storedBytes, diskBytes, sharedBytes, freedBytes: freedBytes ?? null });
  }
  const rest = (await archive.usage(volume, undefined)) ?? NOTHING;
  return {
    id: volume,
    name: name ?? null,
    diskBytes: reports.reduce((sum, { diskBytes }) => sum + diskBytes, rest.diskBytes),
    sharedBytes: reports.reduce((sum, { sharedBytes }) => sum + sharedBytes, rest.sharedBytes),
    unfinishedBytes: rest.diskBytes,
    sessions: reports,
  };
}

const NOTHING = { diskBytes: 0, sharedBytes: 0 };

async function unlessRefused<T>(volume: VolumeId, troubles: Troubles, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    troubles.add(volume, error);
    return undefined;
  }
}

async function freedBy(archive: ArchiveStore, policy: RetentionPolicy, troubles: Troubles): Promise<number> {
  let bytes = 0;
  for (const plan of planPrune(archive, policy, () => undefined)) {
    const going = goingOf(plan);
    if (going.length === 0) continue;
    bytes += (await unlessRefused(plan.volume, troubles, () => archive.freed(plan.volume, going))) ?? 0;
  }
  return bytes;
}

function describe(report: Report): string {
  const { archive, diskBytes, savedBytes, keptFiles, keptBytes, policyFreedBytes, freeBytes, totalBytes, volumes } =
    report;
  const more = [
    savedBytes > 0 ? `, ${formatBytes(savedBytes)} saved by sharing` : '',
    keptFiles > 0 ? `, ${formatBytes(keptBytes)} in ${keptFiles} kept catalogues and slots` : '',
    policyFreedBytes === null ? '' : `, ${formatBytes(policyFreedBytes)} would be freed by "prune"`,
    `; the disk has ${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} free`,
  ];
  const rows = volumes.flatMap(({ id, name, unfinishedBytes, sessions }) => [
    ...sessions.map((each) => [
      name ?? id,
      each.session,
      formatBytes(each.diskBytes),
      formatBytes(each.sharedBytes),
      each.freedBytes === null ? 'stays' : formatBytes(each.freedBytes),
    ]),
    [name ?? id, 'else', formatBytes(unfinishedBytes), '', ''],
  ]);
  return (
    `${archive}: ${formatBytes(diskBytes)} on disk${more.join('')}\n` +
    table(['volume', 'session', 'its own', 'shared', 'freed if pruned'], rows, [2, 3, 4])
  );
}
