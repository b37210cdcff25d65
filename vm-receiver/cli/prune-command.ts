import { formatBytes } from '../../shared/terminal/sizes.ts';
import { calendar } from '../../shared/archive/calendar.ts';
import { bytesShort } from '../../shared/archive/low-space.ts';
import type { ArchiveName, SessionName, VolumeId } from '../../shared/archive/names.ts';
import { isEmptyPolicy, removableUnasked, type RetentionPolicy, type Verdict } from '../../shared/archive/retention.ts';
import { EXIT_STATUS, SparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { pruneAll, pruneWhileLow, type Outcome } from '../retention/carry-out.ts';
import { goingOf, planPrune, removesMost, type VolumePlan } from '../retention/policy-plan.ts';
import { Refusal } from '../store/refusal.ts';
import type { ArchiveStore, Store } from '../store/store.ts';
import { confirm, isInteractive } from './confirm.ts';
import { openStore } from './open-store.ts';
import { eachArchive } from './each-archive.ts';
import { updateMetrics } from './metrics.ts';
import { complain, describeError, print } from './output.ts';
import type { Settings } from './settings.ts';
import { withArchive } from './with-stored-archive.ts';

export interface PruneOptions {
  /** Replaces the configuration's policy. */
  readonly policy: RetentionPolicy;
  readonly dryRun: boolean;
  /** Only while the disk runs low. */
  readonly ifLow: boolean;
  /** Whether more than half of a volume's sessions may be removed at once without asking. */
  readonly yes: boolean;
}

interface VolumeReport {
  readonly id: string;
  readonly name: string | null;
  /** Oldest first; `time` in ISO 8601. */
  readonly sessions: readonly (Omit<Verdict, 'time'> & { readonly time: string; readonly pruned: boolean })[];
  readonly freedBytes: number;
  readonly error: string | null;
}

interface Report {
  readonly archive: ArchiveName;
  /** Bytes that have to be freed until the disk no longer runs low; null if that does not matter. */
  readonly shortBytes: number | null;
  readonly volumes: readonly VolumeReport[];
  readonly freedBytes: number;
}

/** Removes sessions that the policy does not keep. */
export async function pruneCommand(settings: Settings, given: PruneOptions, json: boolean): Promise<number> {
  const policy = isEmptyPolicy(given.policy) ? settings.retention : given.policy;
  if (isEmptyPolicy(policy)) {
    throw new SparsebakError('config', 'there is no retention policy', {
      hint: 'Give --keep-daily or similar options, or set keep_daily or similar fields under [retention].',
    });
  }
  const options = { ...given, policy, ifLow: given.ifLow || settings.autoprune === 'space' };
  const store = openStore(settings);
  const { reports, status } = await eachArchive(store, settings, async (name) => {
    const agreed = await askedOf(store, name, options, settings);
    const report = await withArchive(store, name, (archive) =>
      pruneOne(name, archive, { ...options, agreed }, settings),
    );
    if (!json) await print(describe(report, options.dryRun));
    return report;
  });
  if (json) await print(`${JSON.stringify({ dryRun: options.dryRun, archives: reports })}\n`);
  const errors = reports.flatMap(({ volumes }) => volumes.flatMap(({ error }) => error ?? []));
  for (const error of errors) complain(error);
  const isWritten = options.dryRun || (await updateMetrics(store, settings));
  return errors.length > 0 || (status === 0 && !isWritten) ? EXIT_STATUS.partial : status;
}

/**
 * The plans that the user confirmed, if more than half of a volume would be removed; undefined if nothing was asked.
 * The archive is closed during the question, so that no send has to wait for the answer.
 */
async function askedOf(
  store: Store,
  name: ArchiveName,
  { policy, dryRun, ifLow, yes }: PruneOptions,
  { lowSpace }: Settings,
): Promise<readonly VolumePlan[] | undefined> {
  if (yes || dryRun || !isInteractive()) return undefined;
  const { plans, report } = await withArchive(store, name, async (archive) => {
    const planned = planPrune(archive, policy, () => undefined);
    const shortBytes = ifLow ? bytesShort(archive.space(), lowSpace) : null;
    return { plans: planned, report: await weigh(name, archive, planned, { shortBytes, refused: new Map() }) };
  });
  if (report.shortBytes === 0 || !plans.some(removesMost)) return undefined;
  process.stderr.write(describe(report, true));
  if (await confirm('Prune more than half of a volume at once?')) return plans;
  throw new SparsebakError('interrupted', `${name} was not pruned`);
}

async function pruneOne(
  name: ArchiveName,
  archive: ArchiveStore,
  { policy, dryRun, ifLow, yes, agreed }: PruneOptions & { readonly agreed: readonly VolumePlan[] | undefined },
  { lowSpace }: Settings,
): Promise<Report> {
  const refused = new Map<VolumeId, Refusal>();
  const note = (volume: VolumeId, why: Refusal) => refused.set(volume, why);
  if (!dryRun) await archive.tidy(note);
  const plans = agreed ?? planPrune(archive, policy, note);
  const shortBytes = ifLow ? bytesShort(archive.space(), lowSpace) : null;
  if (dryRun) return await weigh(name, archive, plans, { shortBytes, refused });
  const mayRemoveMost = yes || agreed !== undefined;
  const outcome = ifLow
    ? await pruneWhileLow(archive, plans, lowSpace, mayRemoveMost)
    : await pruneAll(archive, plans, mayRemoveMost);
  return reportOf(name, plans, outcome, { shortBytes, refused });
}

/** How many bytes each plan would free. */
async function weigh(
  archive: ArchiveName,
  store: ArchiveStore,
  plans: readonly VolumePlan[],
  { shortBytes, refused }: Circumstances,
): Promise<Report> {
  const volumes: VolumeReport[] = [];
  for (const plan of plans) {
    const going = shortBytes === 0 ? [] : goingOf(plan);
    let [freedBytes, error]: [number, string | null] = [0, null];
    try {
      if (going.length > 0) freedBytes = (await store.freed(plan.volume, going)) ?? 0;
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      error = describeError(refusal);
    }
    const sessions = reported(plan, () => false);
    volumes.push({ id: plan.volume, name: plan.name ?? null, sessions, freedBytes, error });
  }
  volumes.push(...unplanned(plans, refused));
  return { archive, shortBytes, volumes, freedBytes: sumOf(volumes) };
}

function reported({ verdicts }: VolumePlan, isGone: (session: SessionName) => boolean): VolumeReport['sessions'] {
  return verdicts.map(({ session, time, reasons }) => ({
    ...{ session, time: new Date(time).toISOString(), reasons },
    pruned: isGone(session),
  }));
}

/** Facts about an archive that are not in the plans. */
interface Circumstances {
  readonly shortBytes: number | null;
  /** Volumes that could not be tidied or listed. */
  readonly refused: ReadonlyMap<VolumeId, Refusal>;
}

/** Volumes whose sessions are not even known. */
function unplanned(plans: readonly VolumePlan[], refused: ReadonlyMap<VolumeId, Refusal>): VolumeReport[] {
  const others = [...refused].filter(([id]) => !plans.some(({ volume }) => volume === id));
  return others.map(([id, why]) => ({ id, name: null, sessions: [], freedBytes: 0, error: describeError(why) }));
}

function reportOf(
  archive: ArchiveName,
  plans: readonly VolumePlan[],
  { pruned, refusals }: Outcome,
  { shortBytes, refused }: Circumstances,
): Report {
  const planned = plans.map((plan): VolumeReport => {
    const { volume, name } = plan;
    const gone = new Map(pruned.flatMap((each) => (each.volume === volume ? [[each.session, each.bytes]] : [])));
    const refusal = refusals.get(volume) ?? refused.get(volume);
    return {
      id: volume,
      name: name ?? null,
      sessions: reported(plan, (session) => gone.has(session)),
      freedBytes: [...gone.values()].reduce((sum, bytes) => sum + bytes, 0),
      error: refusal === undefined ? null : describeError(refusal),
    };
  });
  const volumes = [...planned, ...unplanned(plans, refused)];
  return { archive, shortBytes, volumes, freedBytes: sumOf(volumes) };
}

function sumOf(volumes: readonly VolumeReport[]): number {
  return volumes.reduce((sum, { freedBytes }) => sum + freedBytes, 0);
}

function describe({ archive, shortBytes, volumes, freedBytes }: Report, dryRun: boolean): string {
  if (shortBytes === 0) return `${archive}: the disk does not run low, nothing is pruned\n`;
  const sessions = volumes.flatMap((volume) => volume.sessions);
  const going = sessions.filter(({ reasons, pruned }) => (dryRun ? reasons.length === 0 : pruned)).length;
  const low = shortBytes === null ? '' : `, ${formatBytes(shortBytes)} short`;
  if (!dryRun)
    return `${archive}: ${going} of ${sessions.length} sessions pruned, ${formatBytes(freedBytes)} freed${low}\n`;
  const would = `${going} of ${sessions.length} sessions would be pruned, ${formatBytes(freedBytes)} would be freed`;
  const oldest = shortBytes === null ? '' : ` (the oldest of these, until ${formatBytes(shortBytes)} are freed)`;
  const days = calendar(volumes.map((volume) => volume.sessions));
  return (
    `${archive}: ${would}${oldest}\n${days.map((day) => `  ${day}\n`).join('')}  + kept, - removed, ± ` +
    `differs by volume\n${volumes.map(most).join('')}`
  );
}

/** Points out what a mistake in the policy would cause. */
function most({ id, name, sessions }: VolumeReport): string {
  const going = sessions.filter(({ reasons }) => reasons.length === 0).length;
  if (going <= removableUnasked(sessions.length)) return '';
  return `  more than half of ${escapeText(name ?? id, 4096)}: ${going} of ${sessions.length} sessions\n`;
}
