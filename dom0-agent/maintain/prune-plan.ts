/**
 * What of an archive would go: decided from the names of its sessions, their tags, and what protects them. Sessions that the
 * catalogue does not list yet (a send was cut off at its end) are left out of it.
 */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { retain, type Reason, type RetentionPolicy } from '../../shared/archive/retention.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { CatalogueVolume } from '../content/catalogue.ts';
import { listedVolumes, newestMissing } from '../restore/find-session.ts';
import type { OpenArchive } from '../trust/open-archive.ts';
import { newestHead } from '../trust/newest-head.ts';
import type { StoredSession } from '../trust/proven-reader.ts';
import { isProtectedBy } from './protecting-tags.ts';

/** Sessions by name, both ends included, or those that a policy does not keep. */
export type PruneChoice =
  | { readonly kind: 'sessions'; readonly first: SessionName; readonly last: SessionName }
  | { readonly kind: 'policy'; readonly policy: RetentionPolicy };

/** `unnamed`: it was not asked for. */
export type StayReason = Reason | 'unnamed';

export interface JudgedSession {
  readonly session: SessionName;
  /** Empty for one that goes. */
  readonly reasons: readonly StayReason[];
}

export interface VolumePlan {
  readonly id: VolumeId;
  readonly name: string;
  /** Oldest first. */
  readonly sessions: readonly JudgedSession[];
}

interface Standing {
  readonly session: SessionName;
  readonly tags: readonly string[];
  readonly protected: boolean;
}

/**
 * Moments are chosen over all volumes, whichever are to be pruned.
 * @param names all volumes without any
 * @throws `rollback` where a volume's newest session is not there, `integrity` where it has no head that proves it: of such an
 * archive nothing more is taken away
 */
export async function planPrune(
  open: OpenArchive,
  names: readonly string[],
  choice: PruneChoice,
): Promise<{
  readonly plans: readonly VolumePlan[];
  readonly stored: ReadonlyMap<VolumeId, readonly StoredSession[]>;
}> {
  const stored = await open.reader.volumes();
  const chosen = new Set(listedVolumes(open, names).map(({ id }) => id));
  const all = listedVolumes(open, []);
  const standing = new Map(all.map((entry) => [entry.id, standingOf(entry, stored.get(entry.id) ?? [])]));
  const { minKeep } = open.rules;
  const judged =
    choice.kind === 'policy'
      ? retain(standing, choice.policy, minKeep)
      : new Map([...standing].map(([id, sessions]) => [id, judgeNamed(sessions, choice, minKeep)]));
  const plans = all
    .filter(({ id }) => chosen.has(id))
    .map(({ id, name }) => ({ id, name, sessions: judged.get(id) ?? [] }));
  if (choice.kind === 'sessions') mustBeThere(plans, choice, names);
  // What stays is to be of use: without its newest head a volume has nothing but what would go.
  const shrinking = new Set(plans.filter((plan) => goingOf(plan).length > 0).map(({ id }) => id));
  for (const entry of all) if (shrinking.has(entry.id)) await newestHead(open, entry);
  return { plans, stored };
}

/** Oldest first. */
export function goingOf({ sessions }: VolumePlan): SessionName[] {
  return sessions.filter(({ reasons }) => reasons.length === 0).map(({ session }) => session);
}

function standingOf(entry: CatalogueVolume, stored: readonly StoredSession[]): Standing[] {
  const { session: newest } = entry;
  if (newest === null) return [];
  const names = stored.map(({ session }) => session);
  if (!names.includes(newest)) throw newestMissing(entry.name, newest, names);
  return stored
    .filter(({ session }) => session <= newest)
    .map(({ session, protected: bit }) => {
      const tags = entry.tags[session] ?? [];
      return { session, tags, protected: bit || isProtectedBy(tags) };
    });
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
    return { session: each.session, reasons };
  });
}

/** What was named and cannot go is said, not passed over. */
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
  const why = one?.reasons.includes('protected') === true ? 'is protected' : 'is one of the newest, which stay';
  throw new SparsebakError('failed', `nothing was pruned: ${one?.session ?? ''} of ${one?.name ?? ''} ${why}`, {
    hint: 'A protecting tag can be removed with "sparsebak tag"; the newest session of a volume never goes, nor do those that the receiver keeps (its min_keep).',
  });
}
