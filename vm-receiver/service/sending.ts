/**
 * The phase sending: from the `done` to `begin` to the `done` to `commit` or `abandon`. After a failure, messages are
 * read and ignored until the agent has seen the error and abandons the send.
 */
import type { AgentMessage, AgentRequest } from '../../shared/wire/messages.ts';
import { isHandledBy } from '../../shared/wire/phases.ts';
import { Refusal } from '../store/refusal.ts';
import type { Send } from '../store/store.ts';
import { answering } from './answering.ts';
import type { Conversation } from './conversation.ts';
import { Parts } from './staged-parts.ts';
import type { Answers } from './reading.ts';

/** Returns when the send is over; ends it if the agent does not. */
export async function sending(conversation: Conversation, send: Send, answers: Answers, begun: number): Promise<void> {
  const phase = new Sending(conversation, send, answers, begun);
  try {
    await conversation.answer({ t: 'done', re: begun });
    await phase.run();
  } finally {
    await phase.end();
  }
}

class Sending {
  readonly #conversation: Conversation;
  readonly #send: Send;
  readonly #answers: Answers;
  /** The id of `begin`: errors between requests carry it. */
  readonly #begun: number;
  readonly #parts = new Parts();
  #failure: Refusal | undefined;
  #over = false;
  /**
   * The work of the newest checkpoint. Messages without an answer are accepted meanwhile; requests wait, since answers
   * keep their order.
   */
  #checkpoint: Promise<void> = Promise.resolve();

  constructor(conversation: Conversation, send: Send, answers: Answers, begun: number) {
    this.#conversation = conversation;
    this.#send = send;
    this.#answers = answers;
    this.#begun = begun;
  }

  async run(): Promise<void> {
    while (!this.#over) await this.#take(await this.#conversation.next('sending'));
  }

  /** At the end of the stream only a resumable send is kept. */
  async end(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    await this.#checkpoint.catch(() => undefined);
    await this.#send.abandon(true);
  }

  async #take(message: AgentMessage): Promise<void> {
    switch (message.t) {
      case 'chunk': {
        await this.#write(() => this.#send.chunk(message.address, message.data));
        return;
      }
      case 'page': {
        await this.#write(() => this.#send.page(message.range, message.data));
        return;
      }
      case 'zeros': {
        await this.#write(() =>
          this.#conversation.during(this.#begun, () => this.#send.zeros(message.address, message.count)),
        );
        return;
      }
      case 'part': {
        const problem = this.#parts.add(message.data);
        return problem === undefined ? undefined : await this.#conversation.violation(message, problem);
      }
      default: {
        await this.#request(message);
        return;
      }
    }
  }

  async #request(message: AgentMessage): Promise<void> {
    await this.#checkpoint;
    const staged = this.#parts.take();
    if (isHandledBy('read', message)) {
      await answering(this.#conversation, message.id, () => this.#answers.give(message));
      return;
    }
    switch (message.t) {
      case 'checkpoint': {
        this.#checkpoint = this.#step(message, () => this.#send.checkpoint(message.address));
        // Thrown later, where it is awaited.
        this.#checkpoint.catch(() => undefined);
        return;
      }
      case 'commit': {
        await this.#step(message, async () => {
          await this.#send.commit(message.head, staged);
          this.#over = true;
        });
        return;
      }
      case 'abandon':
        this.#over = true;
        await answering(this.#conversation, message.id, async () => {
          await this.#send.abandon(message.keep);
          await this.#conversation.answer({ t: 'done', re: message.id });
        });
        return;
      default:
        return await this.#conversation.violation(message, `"${message.t}" during a send`);
    }
  }

  /** Handles a message without an answer. Synchronous work stays synchronous: the volume's data passes through here. */
  async #write(work: () => void | Promise<void>): Promise<void> {
    if (this.#failure !== undefined) return;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#failure = error;
      await this.#conversation.refuse(this.#begun, error);
    }
  }

  async #step({ id: re }: AgentRequest, work: () => Promise<void>): Promise<void> {
    await answering(this.#conversation, re, async () => {
      try {
        if (this.#failure !== undefined) throw this.#failure;
        await work();
      } catch (error) {
        if (error instanceof Refusal) this.#failure = error;
        throw error;
      }
      await this.#conversation.answer({ t: 'done', re });
    });
  }
}
