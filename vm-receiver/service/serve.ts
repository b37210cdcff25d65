/**
 * One call from its first byte to its last. The phases of docs/protocol.md are functions, each of which calls the next:
 * greeting, closed, open, sending. What is impossible in a phase has no code there.
 */
import type { ArchiveName } from '../../shared/archive/names.ts';
import { CAPABILITIES, PROTOCOL_VERSION } from '../../shared/wire/limits.ts';
import { Refusal } from '../store/refusal.ts';
import type { Patience, Store } from '../store/store.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { Conversation } from './conversation.ts';
import { answering } from './answering.ts';
import { open } from './open.ts';

/** Seconds to wait for a lock before `open` has set the time. */
const LOCK_WAIT = 60;

export interface Service {
  readonly store: Store;
  readonly release: string;
  /** Why an archive may not be used in this call; undefined if it may. */
  readonly refuse: (archive: ArchiveName) => string | undefined;
  /** Why this caller is not served at all; undefined if it is. */
  readonly refusal: string | undefined;
}

/** Returns after `bye` is answered; throws when the call ends in any other way. */
export async function serve(conversation: Conversation, service: Service): Promise<void> {
  await conversation.open();
  await greeting(conversation, service);
}

async function greeting(conversation: Conversation, service: Service): Promise<void> {
  const hello = await conversation.next('greeting');
  if (hello.t !== 'hello') return await conversation.violation(hello, 'no "hello"');
  if (hello.version !== PROTOCOL_VERSION) {
    return await refuseCall(
      conversation,
      new Refusal('version', `this receiver speaks version ${PROTOCOL_VERSION}, the agent ${hello.version}`, {
        hint: 'Install the same release of sparsebak on both sides.',
      }),
    );
  }
  if (service.refusal !== undefined) return await refuseCall(conversation, new Refusal('refused', service.refusal));
  const { grant } = conversation;
  conversation.allowCapabilities(hello.capabilities);
  await conversation.answer({
    t: 'hello',
    version: PROTOCOL_VERSION,
    release: service.release,
    capabilities: [...CAPABILITIES],
    grant,
  });
  await closed(conversation, service);
}

async function refuseCall(conversation: Conversation, refusal: Refusal): Promise<never> {
  await conversation.refuse(0, refusal);
  throw new SparsebakError('refused', refusal.message, { cause: refusal });
}

async function closed(conversation: Conversation, service: Service): Promise<void> {
  for (;;) {
    const message = await conversation.next('closed');
    switch (message.t) {
      case 'bye': {
        await conversation.answer({ t: 'done', re: message.id });
        return;
      }
      case 'create':
        await answering(conversation, message.id, async () => {
          permit(service, message.archive);
          const { archive: name, archiveId: id, chunkSize, encrypted, dedup, slots, catalogue } = message;
          const archive = { name, id, chunkSize, encrypted, dedup, slots, catalogue };
          await service.store.create(archive, patience(conversation, LOCK_WAIT));
          await conversation.answer({ t: 'done', re: message.id });
        });
        break;
      case 'open': {
        const archive = await answering(conversation, message.id, async () => {
          permit(service, message.archive);
          return await service.store.open(message.archive, patience(conversation, message.lockWait));
        });
        if (archive === undefined) break;
        try {
          conversation.allowChunks(archive.chunkSize);
          const { id: archiveId, chunkSize, encrypted, dedup, rules } = archive;
          await conversation.answer({ t: 'opened', re: message.id, archiveId, chunkSize, encrypted, dedup, ...rules });
          await open(conversation, archive);
          return;
        } finally {
          await archive.close();
        }
      }
      default:
        return await conversation.violation(message, `"${message.t}" before an archive is open`);
    }
  }
}

function permit({ refuse }: Service, archive: ArchiveName): void {
  const reason = refuse(archive);
  if (reason !== undefined) throw new Refusal('refused', reason);
}

function patience(conversation: Conversation, seconds: number): Patience {
  return { seconds, signal: conversation.gone };
}
