/**
 * The phase open: reading, small changes, and the beginning of a send.
 */
import { MAX_SLOTS } from '../../shared/wire/limits.ts';
import type { AgentRequest } from '../../shared/wire/messages.ts';
import { isHandledBy } from '../../shared/wire/phases.ts';
import { Refusal } from '../store/refusal.ts';
import type { ArchiveStore, Slot } from '../store/store.ts';
import { answering } from './answering.ts';
import type { Conversation } from './conversation.ts';
import { maintain } from './maintaining.ts';
import { Parts } from './staged-parts.ts';
import { Answers } from './reading.ts';
import { sending } from './sending.ts';

/** Returns after `bye`. */
export async function open(conversation: Conversation, archive: ArchiveStore): Promise<void> {
  const answers = new Answers(conversation, archive);
  const parts = new Parts();
  for (;;) {
    const message = await conversation.next('open');
    if (message.t === 'part') {
      const problem = parts.add(message.data);
      if (problem !== undefined) await conversation.violation(message, problem);
      continue;
    }
    const staged = parts.take();
    if (isHandledBy('read', message)) {
      await answering(conversation, message.id, () => answers.give(message));
      continue;
    }
    if (isHandledBy('change', message)) {
      await maintain(conversation, archive, message);
      continue;
    }
    switch (message.t) {
      case 'bye': {
        await conversation.answer({ t: 'done', re: message.id });
        return;
      }
      case 'put-slot':
        await change(conversation, message.id, async () => {
          if (conversation.grant === 'receive') refuseReplacing(archive, message);
          await archive.putSlot({ name: message.name, data: message.data });
        });
        break;
      case 'drop-slot':
        await change(conversation, message.id, () => archive.dropSlot(message.name));
        break;
      case 'put-catalogue':
        await change(conversation, message.id, async () => {
          const catalogue = Buffer.concat(staged);
          if (catalogue.length === 0) throw new Refusal('bad-request', 'a catalogue without parts');
          await archive.putCatalogue(message.replaces, catalogue);
        });
        break;
      case 'resolve':
        await resolve(conversation, archive, message);
        break;
      case 'begin':
        await begin(conversation, archive, answers, message);
        break;
      default:
        return await conversation.violation(message, `"${message.t}" outside a send`);
    }
  }
}

/** An agent that may only add must not destroy key slots. A damaged slot counts as existing. */
function refuseReplacing(archive: ArchiveStore, { name, data }: Slot): void {
  const lost = new Set<string>();
  let count = 0;
  for (const slot of archive.slots((damaged) => void lost.add(damaged))) {
    count++;
    if (slot.name !== name) continue;
    // The same slot is put again if its answer was lost.
    if (Buffer.compare(slot.data, data) === 0) return;
    throw new Refusal('refused', `slot "${name}" exists, and the grant receive may not replace it`);
  }
  if (lost.has(name))
    throw new Refusal('refused', `slot "${name}" exists, but is damaged, and the grant receive may not replace it`);
  if (count + lost.size >= MAX_SLOTS) throw new Refusal('refused', `the archive already has ${MAX_SLOTS} key slots`);
}

async function change(conversation: Conversation, re: number, work: () => Promise<void>): Promise<void> {
  await answering(conversation, re, async () => {
    await work();
    await conversation.answer({ t: 'done', re });
  });
}

async function resolve(
  conversation: Conversation,
  archive: ArchiveStore,
  { id: re, volume, pairing, resume }: Extract<AgentRequest, { t: 'resolve' }>,
): Promise<void> {
  await answering(conversation, re, async () => {
    const { newest, checkpoint } = await archive.resolve(volume, pairing, resume);
    await conversation.answer({
      t: 'resolved',
      re,
      session: newest?.session ?? null,
      head: newest?.data ?? null,
      checkpoint: checkpoint ?? null,
    });
  });
}

async function begin(
  conversation: Conversation,
  archive: ArchiveStore,
  answers: Answers,
  message: Extract<AgentRequest, { t: 'begin' }>,
): Promise<void> {
  const { t: _, id, ...request } = message;
  const send = await answering(conversation, id, async () => {
    if (archive.encrypted && request.name !== null) {
      throw new Refusal('bad-request', 'a volume’s name in plain text, for an encrypted archive');
    }
    return await archive.begin(request);
  });
  if (send !== undefined) await sending(conversation, send, answers, id);
}
