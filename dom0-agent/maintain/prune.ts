/** A plan of what goes, weighed or carried out. What one volume refuses does not keep the others from theirs. */
import { bytesShort, type LowSpace } from '../../shared/archive/low-space.ts';
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { asSparsebakError, type SparsebakError } from '../../shared/errors.ts';
import { MAX_PRUNED } from '../../shared/wire/limits.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { freedByPruning, prune, space } from '../link/maintenance.ts';
import type { OpenArchive } from '../trust/open-archive.ts';
import type { StoredSession } from '../trust/proven-reader.ts';
import { isProtectedBy } from './protecting-tags.ts';
import { goingOf, planPrune, type JudgedSession, type PruneChoice, type VolumePlan } from './prune-plan.ts';
import { changeCatalogue, protectedAndMissing } from './reconcile.ts';
import type { Writer } from './writer.ts';

export interface PrunedVolume {
  readonly name: string;
  readonly sessions: readonly (JudgedSession & { readonly pruned: boolean })[];
  /** Of stored files, by the receiver's word. */
  readonly freedBytes: number;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface PruneReport {
  readonly dryRun: boolean;
  readonly volumes: readonly PrunedVolume[];
  readonly freedBytes: number;
}

/** What would become free. */
export async function weigh(open: OpenArchive, plans: readonly VolumePlan[]): Promise<PruneReport> {
  const volumes: PrunedVolume[] = [];
  for (const plan of plans) {
    const going = goingOf(plan);
    let freedBytes = 0;
    for (let from = 0; from < going.length; from += MAX_PRUNED) {
      freedBytes += (await freedByPruning(open.client, plan.id, going.slice(from, from + MAX_PRUNED))) ?? 0;
    }
    const sessions = plan.sessions.map((each) => ({ ...each, pruned: false }));
    volumes.push({ name: plan.name, sessions, freedBytes });
  }
  return { dryRun: true, volumes, freedBytes: sumOf(volumes) };
}

export interface PruneRequest {
  readonly names: readonly string[];
  readonly choice: PruneChoice;
  /** What somebody said yes to: nothing else goes. */
  readonly agreed?: readonly VolumePlan[];
  /** Only while the disk runs low, the oldest of all volumes first. */
  readonly low?: LowSpace;
}

export async function pruneArchive(writer: Writer, request: PruneRequest): Promise<PruneReport> {
  const { open } = writer;
  const { plans: planned, stored } = await planPrune(open, request.names, request.choice);
  for (const entry of open.pin.known.catalogue.volumes) {
    for (const session of protectedAndMissing(entry, stored)) {
      writer.log.warn(`session ${session} of ${entry.name} is tagged as protected, but the archive does not show it`);
    }
  }
  const plans = request.agreed === undefined ? planned : planned.map((plan) => onlyAgreed(plan, request.agreed ?? []));
  const outcome = await carryOut(writer, plans, request.low);
  await dropOldTags(writer, stored, outcome.gone);
  const volumes = plans.map(({ id, name, sessions }): PrunedVolume => {
    const gone = outcome.gone.get(id) ?? new Map<SessionName, number>();
    const error = outcome.refusals.get(id);
    return {
      name,
      sessions: sessions.map((each) => ({ ...each, pruned: gone.has(each.session) })),
      freedBytes: [...gone.values()].reduce((sum, bytes) => sum + bytes, 0),
      ...(error === undefined ? {} : { error: { code: error.code, message: error.message } }),
    };
  });
  return { dryRun: false, volumes, freedBytes: sumOf(volumes) };
}

/** What came to go since somebody was asked, stays this time. */
function onlyAgreed(plan: VolumePlan, agreed: readonly VolumePlan[]): VolumePlan {
  const shown = agreed.find(({ id }) => id === plan.id);
  const going = new Set(shown === undefined ? [] : goingOf(shown));
  const sessions = plan.sessions.map((each): JudgedSession =>
    each.reasons.length > 0 || going.has(each.session) ? each : { ...each, reasons: ['unnamed'] },
  );
  return { ...plan, sessions };
}

interface Outcome {
  /** Bytes that became free, by session. */
  readonly gone: Map<VolumeId, Map<SessionName, number>>;
  readonly refusals: Map<VolumeId, SparsebakError>;
}

async function carryOut(writer: Writer, plans: readonly VolumePlan[], low: LowSpace | undefined): Promise<Outcome> {
  const { open, signal } = writer;
  const outcome: Outcome = { gone: new Map(), refusals: new Map() };
  const going = inOrder(plans, low !== undefined);
  const short = low === undefined || going.length === 0 ? Infinity : bytesShort(await space(open.client), low);
  let freed = 0;
  for (const { id, session } of going) {
    // A file system may take its time to count what became free.
    if (freed >= short || (low !== undefined && bytesShort(await space(open.client), low) === 0)) break;
    if (outcome.refusals.has(id)) continue;
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
  return outcome;
}

/** Of each volume the newest first, so that nothing is moved into a session that goes, too; or the oldest of all first. */
function inOrder(plans: readonly VolumePlan[], oldestFirst: boolean): { id: VolumeId; session: SessionName }[] {
  const going = plans.flatMap((plan) =>
    goingOf(plan)
      .reverse()
      .map((session) => ({ id: plan.id, session })),
  );
  if (!oldestFirst) return going;
  return going.sort((a, b) => (a.session === b.session ? 0 : a.session < b.session ? -1 : 1));
}

/** The catalogue forgets the tags of sessions that are gone, whoever took them; what a tag protected is missed for good. */
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
