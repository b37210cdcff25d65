/**
 * The requests of the phase `open` that change or remove something: each one step of the store and its answer.
 */
import type { HandledBy } from '../../shared/wire/phases.ts';
import type { ArchiveStore } from '../store/store.ts';
import { answering } from './answering.ts';
import type { Conversation } from './conversation.ts';

type Change = HandledBy<'change'>;

export async function maintain(conversation: Conversation, archive: ArchiveStore, request: Change): Promise<void> {
  const { id: re } = request;
  await answering(conversation, re, async () => {
    await conversation.answer({ ...(await change(archive, request)), re });
  });
}

type Outcome = { t: 'done' | 'absent' } | { t: 'freed'; bytes: number };

async function change(archive: ArchiveStore, request: Change): Promise<Outcome> {
  const { volume } = request;
  switch (request.t) {
    case 'prune':
      return freed(await archive.prune(volume, request.session));
    case 'delete':
      return freed(await archive.delete(volume));
    case 'protect':
      return done(await archive.protect(volume, request.session, request.on));
    case 'rename':
      return done(await archive.rename(volume, request.name));
    case 'mend-chunk':
      return done(await archive.repair(volume, request.session, { address: request.address }, request.data));
    case 'mend-page':
      return done(await archive.repair(volume, request.session, { page: request.range }, request.data));
  }
}

/** Undefined if the volume or session does not exist. */
export function freed(bytes: number | undefined): { t: 'absent' } | { t: 'freed'; bytes: number } {
  return bytes === undefined ? { t: 'absent' } : { t: 'freed', bytes };
}

function done(isThere: boolean): { t: 'done' | 'absent' } {
  return { t: isThere ? 'done' : 'absent' };
}
