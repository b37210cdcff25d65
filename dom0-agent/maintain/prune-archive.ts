/**
 * Estimates what a prune plan would free, or carries it out. A volume that cannot be pruned does not affect the others.
 */
import { bytesShort, type LowSpace } from '../../shared/archive/low-space.ts';
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { removableUnasked } from '../../shared/archive/retention.ts';
import { SparsebakError, asSparsebakError, reportOf, type ErrorReport } from '../../shared/errors.ts';
import { MAX_PRUNED } from '../../shared/wire/limits.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { freedByPruning, prune, space } from '../link/maintenance-requests.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import type { StoredSession } from '../proven-archive/proven-reader.ts';
import { isProtectedBy } from './protecting-tags.ts';
import {
  goingOf,
  planPrune,
  removesMost,
  type JudgedSession,
  type PruneChoice,
  type VolumePlan,
} from './prune-plan.ts';
import { changeCatalogue, protectedAndMissing } from './reconcile.ts';
import type { Writer } from './writer.ts';

export interface PrunedVolume {
  readonly name: string;
  /** Oldest first; `time` in ISO 8601. */
  readonly sessions: readonly (Omit<JudgedSession, 'time'> & { readonly time: string; readonly pruned: boolean })[];
  /** Bytes of stored files, as the receiver reports. */
  readonly freedBytes: number;
  readonly error?: ErrorReport;
}

export interface PruneReport {
  readonly dryRun: boolean;
  readonly volumes: readonly PrunedVolume[];
  readonly freedBytes: number;
}

export interface Pruned {
  readonly report: PruneReport;
  /** What ended the run early: the connection, or a signal. The report lists what was removed until then. */
  readonly ended?: SparsebakError;
}

/** How many bytes each plan would free. */
export async function weigh(open: OpenArchive, plans: readonly VolumePlan[]): Promise<PruneReport> {
  const volumes: PrunedVolume[] = [];
  for (const plan of plans) {
    const going = goingOf(plan);
    let freedBytes = 0;
    for (let from = 0; from < going.length; from += MAX_PRUNED) {
      freedBytes += (await freedByPruning(open.client, plan.id, going.slice(from, from + MAX_PRUNED))) ?? 0;
    }
    volumes.push({
      name: plan.name,
      sessions: reported(plan, () => false),
      freedBytes,
      ...errorOf(plan.fault),
    });
  }
  return { dryRun: true, volumes, freedBytes: sumOf(volumes) };
}

/** The report for a plan that was not carried out. */
export function unchanged(plans: readonly VolumePlan[]): PruneReport {
  const volumes = plans.map((plan) => ({
    ...{ name: plan.name, sessions: reported(plan, () => false), freedBytes: 0 },
    ...errorOf(plan.fault),
  }));
  return { dryRun: false, volumes, freedBytes: 0 };
}

function reported({ sessions }: VolumePlan, isGone: (session: SessionName) => boolean): PrunedVolume['sessions'] {
  return sessions.map(({ session, time, reasons }) => ({
    ...{ session, time: new Date(time).toISOString(), reasons },
    pruned: isGone(session),
  }));
}

export interface PruneRequest {
  readonly names: readonly string[];
  readonly choice: PruneChoice;
  /** Names of damaged volumes: they are not pruned. */
  readonly spared?: ReadonlySet<string>;
  /** The plan that the user confirmed: nothing else is removed. */
  readonly agreed?: readonly VolumePlan[];
  /** Whether more than half of a volume's sessions may be removed at once. */
  readonly mayRemoveMost: boolean;
  /** Removes only while the disk runs low, the oldest sessions of all volumes first. */
  readonly low?: LowSpace;
}

export async function pruneArchive(writer: Writer, request: PruneRequest): Promise<Pruned> {
  const { open } = writer;
  const { plans: planned, stored } = await planPrune(open, request.names, request.choice);
  for (const entry of open.pin.known.catalogue.volumes) {
    for (const session of protectedAndMissing(entry, stored)) {
      writer.log.warn(`session ${session} of ${entry.name} is tagged as protected, but the archive does not show it`);
    }
  }
  const { agreed, spared } = request;
  const unspared = planned.filter(({ name }) => spared?.has(name) !== true);
  const plans = agreed === undefined ? unspared : unspared.map((plan) => onlyAgreed(plan, agreed));
  const outcome = await carryOut(writer, plans, request);
  const { ended } = outcome;
  // Otherwise the next change to the archive drops the tags of removed sessions.
  if (ended === undefined) await dropOldTags(writer, stored, outcome.gone);
  const volumes = plans.map((plan): PrunedVolume => {
    const { id, name, fault } = plan;
    const gone = outcome.gone.get(id) ?? new Map<SessionName, number>();
    return {
      name,
      sessions: reported(plan, (session) => gone.has(session)),
      freedBytes: [...gone.values()].reduce((sum, bytes) => sum + bytes, 0),
      ...errorOf(fault ?? outcome.refusals.get(id)),
    };
  });
  const report = { dryRun: false, volumes, freedBytes: sumOf(volumes) };
  return { report, ...(ended === undefined ? {} : { ended }) };
}

function errorOf(error: SparsebakError | undefined): Pick<PrunedVolume, 'error'> {
  return error === undefined ? {} : { error: reportOf(error) };
}

/** Keeps sessions that the user did not confirm, because they were added to the plan later. */
function onlyAgreed(plan: VolumePlan, agreed: readonly VolumePlan[]): VolumePlan {
  const shown = agreed.find(({ id }) => id === plan.id);
  const going = new Set(shown === undefined ? [] : goingOf(shown));
  const sessions = plan.sessions.map((each): JudgedSession =>
    each.reasons.length > 0 || going.has(each.session) ? each : { ...each, reasons: ['unnamed'] },
  );
  return { ...plan, sessions };
}

interface Outcome {
  /** Bytes freed, by session. */
  readonly gone: Map<VolumeId, Map<SessionName, number>>;
  readonly refusals: Map<VolumeId, SparsebakError>;
  ended?: SparsebakError;
}

async function carryOut(
  writer: Writer,
  plans: readonly VolumePlan[],
  { low, mayRemoveMost }: PruneRequest,
): Promise<Outcome> {
  const { signal } = writer;
  const outcome: Outcome = { gone: new Map(), refusals: new Map() };
  const going = inOrder(plans, low !== undefined);
  const limits = new Map(
    plans.map((plan) => [plan.id, mayRemoveMost ? Infinity : removableUnasked(plan.sessions.length)]),
  );
  // A plan is carried out completely or not at all; if it depends on low disk space, up to half of the sessions.
  if (low === undefined && !mayRemoveMost) {
    for (const plan of plans) if (removesMost(plan)) outcome.refusals.set(plan.id, removesTooMany(plan));
  }
  try {
    await removeEach(writer, plans, { going, low, limits }, outcome);
  } catch (error) {
    outcome.ended = signal.aborted ? new SparsebakError('interrupted', 'interrupted') : asSparsebakError(error);
  }
  return outcome;
}

interface Removals {
  readonly going: readonly { readonly id: VolumeId; readonly session: SessionName }[];
  readonly low: LowSpace | undefined;
  /** How many sessions of each volume may be removed. */
  readonly limits: ReadonlyMap<VolumeId, number>;
}

/** Adds to `outcome` after each session. @throws what ends the run: `interrupted`, or a failure of the connection */
async function removeEach(
  writer: Writer,
  plans: readonly VolumePlan[],
  { going, low, limits }: Removals,
  outcome: Outcome,
): Promise<void> {
  const { open, signal } = writer;
  const short = low === undefined || going.length === 0 ? Infinity : bytesShort(await space(open.client), low);
  let freed = 0;
  for (const { id, session } of going) {
    // A file system may report freed space late.
    if (freed >= short || (low !== undefined && bytesShort(await space(open.client), low) === 0)) break;
    if (outcome.refusals.has(id)) continue;
    const plan = plans.find((each) => each.id === id);
    if (plan !== undefined && (outcome.gone.get(id)?.size ?? 0) >= (limits.get(id) ?? Infinity)) {
      outcome.refusals.set(id, removesTooMany(plan));
      continue;
    }
    signal.throwIfAborted();
    const client = await writer.maintenance();
    try {
      const bytes = await prune(client, id, session);
      if (bytes === undefined) continue;
      freed += bytes;
      outcome.gone.set(id, (outcome.gone.get(id) ?? new Map<SessionName, number>()).set(session, bytes));
    } catch (caught) {
      const error = asSparsebakError(caught);
      if (client.failure !== undefined) throw error;
      outcome.refusals.set(id, error);
    }
  }
}

function removesTooMany(plan: VolumePlan): SparsebakError {
  const counts = `${goingOf(plan).length} of its ${plan.sessions.length} sessions`;
  return new SparsebakError(
    'failed',
    'the policy would remove ' +
      `${counts} at once, more than half: check "sparsebak prune --dry-run", then run "sparsebak prune", or ` +
      'this with --yes',
  );
}

/**
 * Newest first within each volume, so that nothing is moved into a session that is removed next; or the oldest of all
 * volumes first.
 */
function inOrder(plans: readonly VolumePlan[], oldestFirst: boolean): { id: VolumeId; session: SessionName }[] {
  const going = plans.flatMap((plan) =>
    goingOf(plan)
      .reverse()
      .map((session) => ({ id: plan.id, session })),
  );
  if (!oldestFirst) return going;
  return going.sort((a, b) => (a.session === b.session ? 0 : a.session < b.session ? -1 : 1));
}

/**
 * Drops the tags of removed sessions from the catalogue, whoever removed them; protecting tags stay, so that the loss
 * is reported.
 */
async function dropOldTags(
  writer: Writer,
  stored: ReadonlyMap<VolumeId, readonly StoredSession[]>,
  gone: Outcome['gone'],
): Promise<void> {
  const { volumes } = writer.open.pin.known.catalogue;
  const trimmed = volumes.map((entry): CatalogueVolume => {
    const there = new Set((stored.get(entry.id) ?? []).map(({ session }) => session));
    for (const session of gone.get(entry.id)?.keys() ?? []) there.delete(session);
    const tags = Object.entries(entry.tags).filter(
      ([session, names]) => there.has(session as SessionName) || isProtectedBy(names),
    );
    return tags.length === Object.keys(entry.tags).length ? entry : { ...entry, tags: Object.fromEntries(tags) };
  });
  if (trimmed.some((entry, at) => entry !== volumes[at])) await changeCatalogue(writer, trimmed, []);
}

function sumOf(volumes: readonly PrunedVolume[]): number {
  return volumes.reduce((sum, { freedBytes }) => sum + freedBytes, 0);
}
