/**
 * Plans which sessions of an archive to prune, by their times, order, tags and protection. Sessions that the catalogue
 * does not list yet (a send was interrupted at its end) are left out.
 */
import { sessionTime, type SessionName, type VolumeId } from '../../shared/archive/names.ts';
import { removableUnasked, retain, type Reason, type RetentionPolicy } from '../../shared/archive/retention.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { listedVolumes, namedVolumes, newestFault } from '../proven-archive/find-session.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import { newestHead } from '../proven-archive/newest-head.ts';
import type { Listing, StoredSession } from '../proven-archive/proven-reader.ts';
import { isVolumeError } from '../proven-archive/volume-error.ts';
import { isProtectedBy } from './protecting-tags.ts';
import { sessionTimes } from './session-times.ts';

/** Sessions by name, both ends included, or those that a policy does not keep. */
export type PruneChoice =
  | { readonly kind: 'sessions'; readonly first: SessionName; readonly last: SessionName }
  | { readonly kind: 'policy'; readonly policy: RetentionPolicy };

/** `unnamed`: it was not asked for. `damaged`: the volume's newest session is damaged, so all others are kept. */
export type StayReason = Reason | 'unnamed' | 'damaged';

export interface JudgedSession {
  readonly session: SessionName;
  /** When it was made, in milliseconds since 1970. */
  readonly time: number;
  /** Empty if it is removed. */
  readonly reasons: readonly StayReason[];
}

export interface VolumePlan {
  readonly id: VolumeId;
  readonly name: string;
  /** Oldest first. */
  readonly sessions: readonly JudgedSession[];
  /** Its newest session is missing or has no valid head: the volume is not pruned. */
  readonly fault?: SparsebakError;
}

interface Standing {
  readonly session: SessionName;
  readonly tags: readonly string[];
  readonly protected: boolean;
  /** By its head; undefined if not known. */
  readonly time: number | undefined;
  readonly unproven: boolean;
}

/**
 * Moments are chosen over all volumes, whichever are pruned.
 * @param names all volumes if empty
 * @throws `usage` if the policy keeps the sessions of a tag that no session has, and errors that end the connection. A
 * volume whose newest session is missing or damaged has a `fault`, and all its sessions are kept
 */
export async function planPrune(
  open: OpenArchive,
  names: readonly string[],
  choice: PruneChoice,
): Promise<{
  readonly plans: readonly VolumePlan[];
  readonly stored: Listing;
}> {
  const stored = await open.reader.volumes();
  const chosen = new Set(namedVolumes(open, names).map(({ id }) => id));
  const all = listedVolumes(open, []);
  const times = await sessionTimes(open, stored, choice.kind === 'policy');
  const standing = new Map(
    all.map(({ id, ...entry }) => [id, standingOf(entry, stored.get(id) ?? [], times.get(id) ?? new Map())]),
  );
  if (choice.kind === 'policy') mustMatch(choice.policy, [...standing.values()].flat());
  const missing = all.flatMap((entry) => missingNewest(entry, stored));
  const { minKeep } = open.rules;
  const judged =
    choice.kind === 'policy'
      ? retain(standing, choice.policy, minKeep)
      : new Map([...standing].map(([id, sessions]) => [id, judgeNamed(sessions, choice, minKeep)]));
  const plans = all
    .filter(({ id }) => chosen.has(id))
    .map(({ id, name }) => ({ id, name, sessions: judged.get(id) ?? [] }));
  if (choice.kind === 'sessions') mustBeThere(plans, choice, names);
  const faults = new Map([...(await damagedNewest(open, plans)), ...missing]);
  return { plans: plans.map((plan) => withFault(plan, faults.get(plan.id))), stored };
}

/**
 * Pruning must leave usable sessions: if a volume's newest head is damaged, only the older sessions can be restored.
 */
async function damagedNewest(
  open: OpenArchive,
  plans: readonly VolumePlan[],
): Promise<readonly (readonly [VolumeId, SparsebakError])[]> {
  const shrinking = new Set(plans.filter((plan) => goingOf(plan).length > 0).map(({ id }) => id));
  const entries = listedVolumes(open, []).filter(({ id }) => shrinking.has(id));
  const faults = await Promise.all(
    entries.map(async (entry) => {
      try {
        await newestHead(open, entry);
        return [];
      } catch (error) {
        if (!isVolumeError(error, open.client)) throw error;
        return [[entry.id, error] as const];
      }
    }),
  );
  return faults.flat();
}

function withFault(plan: VolumePlan, fault: SparsebakError | undefined): VolumePlan {
  if (fault === undefined) return plan;
  const sessions = plan.sessions.map((each): JudgedSession =>
    each.reasons.length > 0 ? each : { ...each, reasons: ['damaged'] },
  );
  return { ...plan, sessions, fault };
}

/** Oldest first. */
export function goingOf({ sessions }: VolumePlan): SessionName[] {
  return sessions.filter(({ reasons }) => reasons.length === 0).map(({ session }) => session);
}

/** Whether the policy would remove more of a volume at once than is allowed without confirmation. */
export function removesMost(plan: VolumePlan): boolean {
  return goingOf(plan).length > removableUnasked(plan.sessions.length);
}

/** A mistyped tag would keep nothing, and the sessions that it should keep would be removed. */
function mustMatch({ tags = [] }: RetentionPolicy, standing: readonly Standing[]): void {
  const unmatched = tags.find((tag) => !standing.some((session) => session.tags.includes(tag)));
  if (unmatched === undefined) return;
  throw new SparsebakError('usage', `nothing was pruned: no session has the tag "${unmatched}" that should be kept`, {
    hint: 'Correct or remove it in --keep-tag, or in keep_tag under [retention]; "sparsebak list" shows the tags.',
  });
}

function standingOf(
  entry: Omit<CatalogueVolume, 'id'>,
  stored: readonly StoredSession[],
  times: ReadonlyMap<SessionName, number>,
): Standing[] {
  const { session: newest } = entry;
  if (newest === null) return [];
  return stored
    .filter(({ session }) => session <= newest)
    .map(({ session, protected: bit }) => {
      const tags = entry.tags[session] ?? [];
      const time = times.get(session);
      return { session, tags, protected: bit || isProtectedBy(tags), time, unproven: time === undefined };
    });
}

function missingNewest(entry: CatalogueVolume, stored: Listing): readonly (readonly [VolumeId, SparsebakError])[] {
  const fault = newestFault(entry, stored);
  return fault === undefined ? [] : [[entry.id, fault]];
}

function judgeNamed(
  sessions: readonly Standing[],
  { first, last }: { readonly first: SessionName; readonly last: SessionName },
  minKeep: number,
): JudgedSession[] {
  return sessions.map((each, at) => {
    const left = sessions.length - at;
    const reasons: StayReason[] = [
      ...(each.session >= first && each.session <= last ? [] : (['unnamed'] as const)),
      ...(each.protected ? (['protected'] as const) : []),
      ...(left === 1 ? (['newest'] as const) : left <= minKeep ? (['min-keep'] as const) : []),
    ];
    return { session: each.session, time: each.time ?? sessionTime(each.session), reasons };
  });
}

/** Reports sessions that were named and cannot be removed. */
function mustBeThere(
  plans: readonly VolumePlan[],
  { first, last }: { readonly first: SessionName; readonly last: SessionName },
  names: readonly string[],
): void {
  const named = plans.flatMap(({ name, sessions }) =>
    sessions.filter(({ session }) => session >= first && session <= last).map((each) => ({ name, ...each })),
  );
  const where = names.length === 0 ? 'the archive' : names.join(', ');
  const range = first === last ? first : `${first}..${last}`;
  if (named.length === 0) {
    throw new SparsebakError('not-found', `no session of ${where} is in ${range}`, { hint: 'See "sparsebak list".' });
  }
  if (named.some(({ reasons }) => reasons.length === 0)) return;
  const [one] = named;
  const why = one?.reasons.includes('protected') === true ? 'is protected' : 'is one of the newest, which are kept';
  throw new SparsebakError('failed', `nothing was pruned: ${one?.session ?? ''} of ${one?.name ?? ''} ${why}`, {
    hint:
      'A protecting tag can be removed with "sparsebak tag"; the newest session of a volume is never removed, nor ' +
      'are those that the receiver keeps (its min_keep).',
  });
}
