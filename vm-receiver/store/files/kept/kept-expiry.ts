/** Which kept files have expired, decided by their names, which contain when each was put and in what order. */
import type { Keeping } from '../../store.ts';
import { isRemoval, type KeptFile } from './kept-name.ts';

const DAY = 86_400_000;

/** Rising by number, of one kind. */
type Rising = readonly KeptFile[];

/**
 * The last of each of the newest `days` days that have any. Only days with catalogues count, so that a wrong clock does
 * not expire any.
 */
export function lastOfDays(catalogues: Rising, days: number): ReadonlySet<KeptFile> {
  const last = new Map<number, KeptFile>();
  for (const each of catalogues) last.set(Math.floor(each.time / DAY), each);
  const newest = [...last].sort(([a], [b]) => b - a).slice(0, days);
  return new Set(newest.map(([, each]) => each));
}

/** Catalogues that are past both limits. The newest is always within one. */
export function expiredCatalogues(catalogues: Rising, { catalogues: count, days }: Keeping): KeptFile[] {
  const stay = lastOfDays(catalogues, days);
  const newest = new Set(catalogues.slice(-Math.max(1, count)));
  return catalogues.filter((each) => !newest.has(each) && !stay.has(each));
}

/** When a slot was replaced or removed, in milliseconds since 1970; undefined for one that is the last of its name. */
export function replacedAt(slots: Rising, slot: KeptFile): number | undefined {
  const at = slots.findIndex(({ number, name }) => number > slot.number && name === slot.name);
  if (at < 0) return undefined;
  // A later put was not earlier, so a clock that was ahead for a moment does not keep a slot for years.
  return slots.slice(at).reduce((least, { time }) => Math.min(least, time), Infinity);
}

/** Slots that were replaced or removed for longer than `days`, and notes of removals without an older version. */
export function expiredSlots(slots: Rising, { days }: Keeping, now: number): KeptFile[] {
  const gone = new Set<KeptFile>();
  for (const slot of slots) {
    const at = replacedAt(slots, slot);
    const isPast = at !== undefined && now - at >= days * DAY;
    const endsNothing =
      isRemoval(slot) &&
      !slots.some((other) => other.name === slot.name && other.number < slot.number && !gone.has(other));
    if (isPast || endsNothing) gone.add(slot);
  }
  return [...gone];
}
