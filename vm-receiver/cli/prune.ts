import { calendar } from '../../shared/archive/calendar.ts';
import { bytesShort } from '../../shared/archive/low-space.ts';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { isEmptyPolicy, type RetentionPolicy, type Verdict } from '../../shared/archive/retention.ts';
import { EXIT_STATUS, SparsebakError } from '../../shared/errors.ts';
import { pruneAll, pruneWhileLow, type Outcome } from '../retention/carry-out.ts';
import { goingOf, planPrune, type VolumePlan } from '../retention/plan.ts';
import type { ArchiveStore } from '../store/store.ts';
import { openStore } from './open-store.ts';
import { chosenArchives, describeError, print, showBytes } from './output.ts';
import type { Settings } from './settings.ts';
import { withArchive } from './with-archive.ts';

export interface PruneOptions {
  /** In place of the configuration's. */
  readonly policy: RetentionPolicy;
  readonly dryRun: boolean;
  /** Only while the disk runs low. */
  readonly ifLow: boolean;
}

interface VolumeReport {
  readonly id: string;
  readonly name: string | null;
  readonly sessions: readonly (Verdict & { readonly pruned: boolean })[];
  readonly freedBytes: number;
  readonly error: string | null;
}

interface Report {
  readonly archive: ArchiveName;
  /** Bytes that have to become free until the disk does not run low; null where that is not asked. */
  readonly shortBytes: number | null;
  readonly volumes: readonly VolumeReport[];
  readonly freedBytes: number;
}

/** Takes away what the policy does not keep. */
export async function pruneCommand(settings: Settings, given: PruneOptions, json: boolean): Promise<number> {
  const policy = isEmptyPolicy(given.policy) ? settings.retention : given.policy;
  if (isEmptyPolicy(policy)) {
    throw new SparsebakError('config', 'nothing says which sessions to keep', {
      hint: 'Give --keep-daily or its like, or put keep_daily and its like under [retention] in the configuration.',
    });
  }
  const options = { ...given, policy, ifLow: given.ifLow || settings.autoprune === 'space' };
  const store = openStore(settings);
  const reports: Report[] = [];
  for (const name of chosenArchives(store, settings)) {
    const report = await withArchive(store, name, (archive) => pruneOne(name, archive, options, settings));
    reports.push(report);
    if (!json) await print(describe(report, options.dryRun));
  }
  if (json) await print(`${JSON.stringify({ dryRun: options.dryRun, archives: reports })}\n`);
  const errors = reports.flatMap(({ volumes }) => volumes.flatMap(({ error }) => error ?? []));
  for (const error of errors) process.stderr.write(`sparsebak-receiver: ${error}\n`);
  return errors.length > 0 ? EXIT_STATUS.partial : 0;
}

async function pruneOne(
  name: ArchiveName,
  archive: ArchiveStore,
  { policy, dryRun, ifLow }: PruneOptions,
  { lowSpace }: Settings,
): Promise<Report> {
  if (!dryRun) await archive.tidy();
  const plans = planPrune(archive, policy);
  const shortBytes = ifLow ? bytesShort(archive.space(), lowSpace) : null;
  if (dryRun) return await weigh(name, archive, plans, shortBytes);
  const outcome = ifLow ? await pruneWhileLow(archive, plans, lowSpace) : await pruneAll(archive, plans);
  return reportOf(name, shortBytes, plans, outcome);
}

/** What would become free. */
async function weigh(
  archive: ArchiveName,
  store: ArchiveStore,
  plans: readonly VolumePlan[],
  shortBytes: number | null,
): Promise<Report> {
  const volumes: VolumeReport[] = [];
  for (const plan of plans) {
    const going = shortBytes === 0 ? [] : goingOf(plan);
    const freedBytes = going.length === 0 ? 0 : ((await store.freed(plan.volume, going)) ?? 0);
    const sessions = plan.verdicts.map((verdict) => ({ ...verdict, pruned: false }));
    volumes.push({ id: plan.volume, name: plan.name ?? null, sessions, freedBytes, error: null });
  }
  return { archive, shortBytes, volumes, freedBytes: sumOf(volumes) };
}

function reportOf(
  archive: ArchiveName,
  shortBytes: number | null,
  plans: readonly VolumePlan[],
  { pruned, refusals }: Outcome,
): Report {
  const volumes = plans.map(({ volume, name, verdicts }): VolumeReport => {
    const gone = new Map(pruned.flatMap((each) => (each.volume === volume ? [[each.session, each.bytes]] : [])));
    const refusal = refusals.get(volume);
    return {
      id: volume,
      name: name ?? null,
      sessions: verdicts.map((verdict) => ({ ...verdict, pruned: gone.has(verdict.session) })),
      freedBytes: [...gone.values()].reduce((sum, bytes) => sum + bytes, 0),
      error: refusal === undefined ? null : describeError(refusal),
    };
  });
  return { archive, shortBytes, volumes, freedBytes: sumOf(volumes) };
}

function sumOf(volumes: readonly VolumeReport[]): number {
  return volumes.reduce((sum, { freedBytes }) => sum + freedBytes, 0);
}

function describe({ archive, shortBytes, volumes, freedBytes }: Report, dryRun: boolean): string {
  if (shortBytes === 0) return `${archive}: the disk does not run low, nothing goes\n`;
  const sessions = volumes.flatMap((volume) => volume.sessions);
  const going = sessions.filter(({ reasons, pruned }) => (dryRun ? reasons.length === 0 : pruned)).length;
  const low = shortBytes === null ? '' : `, ${showBytes(shortBytes)} short`;
  if (!dryRun)
    return `${archive}: ${going} of ${sessions.length} sessions pruned, ${showBytes(freedBytes)} freed${low}\n`;
  const would = `${going} of ${sessions.length} sessions would go, ${showBytes(freedBytes)} would become free`;
  const oldest = shortBytes === null ? '' : ` (the oldest of these, until there are ${showBytes(shortBytes)} more)`;
  const days = calendar(volumes.map((volume) => volume.sessions));
  return `${archive}: ${would}${oldest}\n${days.map((day) => `  ${day}\n`).join('')}  + stays, - goes, ± differs by volume\n`;
}
