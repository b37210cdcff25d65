/** What may be removed: the receiver's own rules, and protected sessions. */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { Refusal } from './refusal.ts';
import type { Rules } from './store.ts';

interface Standing {
  readonly session: SessionName;
  readonly protected: boolean;
}

/** `sessions`: the visible ones, oldest first. @throws Refusal `refused` */
export function mustBePrunable(
  volume: VolumeId,
  sessions: readonly Standing[],
  asked: readonly SessionName[],
  { minKeep }: Rules,
): void {
  const kept = new Set(sessions.slice(-Math.max(1, minKeep)).map(({ session }) => session));
  const guarded = new Set(sessions.filter((each) => each.protected).map(({ session }) => session));
  for (const session of asked) {
    if (session === sessions.at(-1)?.session) {
      throw new Refusal('refused', `${session} is the newest session of volume ${volume}, which is never pruned`);
    }
    if (kept.has(session)) {
      const text = `${session} is one of the ${minKeep} newest sessions of volume ${volume}, which this receiver keeps`;
      throw new Refusal('refused', text, { hint: 'Change min_keep in the receiver’s configuration.' });
    }
    if (guarded.has(session)) {
      throw new Refusal('refused', `${session} of volume ${volume} is protected`, {
        hint: 'Remove the tag that protects it first.',
      });
    }
  }
}

/** Whether it may be pruned. */
export function isPrunable(sessions: readonly Standing[], session: SessionName, { minKeep }: Rules): boolean {
  const at = sessions.findIndex((each) => each.session === session);
  return at >= 0 && at < sessions.length - Math.max(1, minKeep) && sessions[at]?.protected === false;
}

/** @throws Refusal `refused` */
export function mustBeDeletable(volume: VolumeId, sessions: readonly Standing[], { allowDelete }: Rules): void {
  if (!allowDelete) {
    throw new Refusal('refused', 'this receiver does not allow deleting volumes', {
      hint: 'Set allow_delete = true in the receiver’s configuration.',
    });
  }
  const guarded = sessions.find((each) => each.protected);
  if (guarded === undefined) return;
  throw new Refusal('refused', `session ${guarded.session} of volume ${volume} is protected`, {
    hint: 'Remove the tag that protects it first.',
  });
}
