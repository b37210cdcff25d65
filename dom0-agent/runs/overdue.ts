/** What is overdue, by dom0's own records: no receiver is asked. */
import type { Overdue } from '../config/notices.ts';
import { sessionTime } from '../../shared/archive/names.ts';
import type { ArchiveState } from '../proven-archive/archive-state.ts';
import { Pin } from '../proven-archive/pin.ts';
import { readProofs } from '../proven-archive/proofs.ts';
import { readSent } from './run-records.ts';

export interface VolumeAge {
  readonly name: string;
  /** The newest session. */
  readonly session: string | null;
  /** Milliseconds since 1970 when a send last had no error with it; null: the records say nothing. */
  readonly sent: number | null;
  /** When its newest session, or a sample of it, was last proven; null: never. */
  readonly proven: number | null;
  readonly overdue: readonly ('send' | 'verify')[];
}

/**
 * The volumes of the archive that the configuration selects, as far as sends have recorded that.
 * @param now milliseconds since 1970
 */
export function volumeAges(state: ArchiveState, limits: Overdue, now: number): VolumeAge[] {
  const volumes = new Pin(state).current?.catalogue.volumes.filter((entry) => entry.state === 'active') ?? [];
  const sentTimes = readSent(state.folder);
  const proofs = readProofs(state.folder);
  return volumes
    .filter(({ id }) => sentTimes.size === 0 || sentTimes.has(id))
    .map(({ id, name, session }) => {
      const { whole, sample } = proofs[id] ?? {};
      const times = [whole, sample].flatMap((proof) => (proof === undefined ? [] : [proof.time]));
      const sent = sentTimes.get(id) ?? null;
      const proven = times.length === 0 ? null : Math.max(...times);
      const overdue: VolumeAge['overdue'] = [
        ...(sent !== null && isLate(sent, now, limits.send) ? ['send' as const] : []),
        // One without data has no chunk that a send could read back; verify proves it.
        ...(session !== null && isLate(proven ?? sessionTime(session), now, limits.verify) ? ['verify' as const] : []),
      ];
      return { name, session, sent, proven, overdue };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Whether it is longer ago than the limit. A time that lies as far in the future was written while a clock was wrong:
 * it must not pass for recent until then.
 */
export function isLate(time: number, now: number, limit: number): boolean {
  return Math.abs(now - time) > limit;
}

/** In words, such as "work/private.img was last sent 3 days ago". */
export function describeOverdue(volumes: readonly VolumeAge[], now: number): string[] {
  return volumes.flatMap(({ name, sent, proven, overdue }) =>
    overdue.map((what) =>
      what === 'send'
        ? `${name} was last sent ${ago(sent, now)}`
        : `${name} was ${proven === null ? 'never proven' : `last proven ${ago(proven, now)}`}`,
    ),
  );
}

/** Whole hours or days; "never" for null. */
export function ago(time: number | null, now: number): string {
  if (time === null) return 'never';
  const hours = Math.floor((now - time) / 3_600_000);
  if (hours < -1) return `at a time in the future (${new Date(time).toISOString().slice(0, 16)}Z: a clock was wrong)`;
  if (hours < 1) return `${Math.max(0, Math.floor((now - time) / 60_000))} minutes ago`;
  return hours < 48 ? `${hours} hours ago` : `${Math.floor(hours / 24)} days ago`;
}
