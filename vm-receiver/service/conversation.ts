/** One connection for the phases: the agent's messages one after another, each legal in its phase, and the answers. */
import { SparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { decodeAgentMessage } from '../../shared/wire/message-codec.ts';
import { encodeFrame } from '../../shared/wire/encode.ts';
import { FrameReader, maxFrame } from '../../shared/wire/frame.ts';
import type { Capability } from '../../shared/wire/limits.ts';
import { MAGIC, MagicReader } from '../../shared/wire/magic.ts';
import type { Grant } from '../../shared/wire/grants.ts';
import type { AgentMessage, ReceiverMessage, RemoteError } from '../../shared/wire/messages.ts';
import { GRANTED, LEGAL, type Phase } from '../../shared/wire/phases.ts';
import { Refusal } from '../store/refusal.ts';
import type { Input } from './byte-input.ts';
import type { Output } from './byte-output.ts';
import type { Timing } from './timing.ts';

/** Characters of an error's message on the wire. */
const MAX_MESSAGE = 1000;

export interface Log {
  warn(details: Record<string, unknown>, message: string): void;
}

export class Conversation {
  readonly grant: Grant;
  readonly #input: Input;
  readonly #output: Output;
  readonly #timing: Timing;
  readonly #log: Log;
  readonly #reader = new FrameReader();
  #frames: Iterator<Uint8Array, void, undefined> = [][Symbol.iterator]();
  #lastId = 0;
  #capabilities: ReadonlySet<string> = new Set();

  constructor(input: Input, output: Output, grant: Grant, timing: Timing, log: Log) {
    this.#input = input;
    this.#output = output;
    this.grant = grant;
    this.#timing = timing;
    this.#log = log;
  }

  /** Fires when the agent is gone. */
  get gone(): AbortSignal {
    return this.#input.gone;
  }

  /** Exchanges the magics. */
  async open(): Promise<void> {
    await this.#output.send(MAGIC);
    const magic = new MagicReader(0);
    for (let rest: Uint8Array | undefined; rest === undefined;) {
      const piece = await this.#input.next(this.#timing.silence);
      if (piece === undefined) throw cutOff();
      rest = magic.feed(piece);
      if (rest !== undefined) this.#frames = this.#reader.frames(rest);
    }
  }

  /** Records the capabilities of the agent's `hello`. */
  allowCapabilities(named: readonly string[]): void {
    this.#capabilities = new Set(named);
  }

  /** Whether the agent understands answers of this kind. */
  allows(capability: Capability): boolean {
    return this.#capabilities.has(capability);
  }

  /** Sets the longest frame and data for this chunk size, from the next message on. */
  allowChunks(chunkSize: number): void {
    this.#reader.limit = maxFrame(chunkSize);
  }

  /**
   * The agent's next message, legal in this phase and under the grant. `alive` is skipped, and messages outside the
   * grant are refused. Throws `protocol` for any violation that ends the connection, and `failed` at the end of the
   * stream.
   */
  async next(phase: Phase): Promise<AgentMessage> {
    for (;;) {
      const message = decodeAgentMessage(await this.#frame());
      const id = 'id' in message ? message.id : undefined;
      if (id !== undefined && id <= this.#lastId)
        await this.violation(message, `id ${id} is not above ${this.#lastId}`);
      if (id !== undefined) this.#lastId = id;
      if (!LEGAL[phase].has(message.t)) await this.violation(message, `"${message.t}" in the phase ${phase}`);
      if (message.t === 'alive') continue;
      if (GRANTED[this.grant].has(message.t)) return message;
      if (id === undefined) await this.violation(message, `"${message.t}" under the grant ${this.grant}`);
      else await this.refuse(id, new Refusal('refused', `the grant ${this.grant} does not allow "${message.t}"`));
    }
  }

  async #frame(): Promise<Uint8Array> {
    for (;;) {
      const frame = this.#frames.next();
      if (frame.done !== true) return frame.value;
      const piece = await this.#input.next(this.#timing.silence);
      if (piece === undefined) throw cutOff();
      this.#frames = this.#reader.frames(piece);
    }
  }

  /** Ends the connection; a request is answered with the error first. */
  async violation(message: AgentMessage, what: string): Promise<never> {
    if ('id' in message) await this.refuse(message.id, new Refusal('bad-request', what));
    throw new SparsebakError('protocol', `the agent broke the protocol: ${what}`);
  }

  async answer(message: ReceiverMessage): Promise<void> {
    await this.#output.send(encodeFrame(message));
  }

  /** Sends an encoded frame; its bytes may be reused when this returns. */
  async answerFrame(frame: Uint8Array): Promise<void> {
    await this.#output.send(frame);
  }

  /** Logs a refusal for the administrator of the backup disk. */
  note(refusal: Refusal): void {
    this.#log.warn({ code: refusal.answer, cause: causeOf(refusal) }, escapeText(refusal.message, MAX_MESSAGE));
  }

  /** Reports that a requested object cannot be given: in the log, and to an agent that understands it. */
  async lost(re: number, name: string, why: Refusal): Promise<void> {
    this.note(why);
    if (this.allows('lost')) await this.answer({ t: 'lost', re, name, message: escapeText(why.message, MAX_MESSAGE) });
  }

  async refuse(re: number, refusal: Refusal): Promise<void> {
    this.note(refusal);
    const hint = refusal.hint === undefined ? '' : `. ${refusal.hint}`;
    await this.#error(re, refusal.answer, refusal.message + hint);
  }

  async #error(re: number, code: RemoteError, message: string): Promise<void> {
    await this.answer({ t: 'error', re, code, message: escapeText(message, MAX_MESSAGE) });
  }

  /** Does something that may take long, and sends `working` for the request meanwhile. */
  async during<T>(re: number, work: () => Promise<T>): Promise<T> {
    let count = 0;
    const timer = setInterval(() => {
      // Not while the agent accepts nothing. If the stream breaks, the next answer fails.
      if (!this.#output.busy) this.answer({ t: 'working', re, count: (count += 1) }).catch(() => undefined);
    }, this.#timing.working);
    try {
      return await work();
    } finally {
      clearInterval(timer);
    }
  }

  close(): void {
    this.#input.close();
    this.#output.close();
  }
}

function cutOff(): SparsebakError {
  return new SparsebakError('failed', 'the connection ended before "bye"');
}

function causeOf({ cause }: Refusal): string | undefined {
  return cause instanceof Error ? escapeText(cause.message, MAX_MESSAGE) : undefined;
}
