// A link without a process: the test is the receiver.

import type { Link, LinkEnd } from '../../../dom0-agent/link/link.ts';
import { decodeAgentMessage } from '../../../shared/wire/message-codec.ts';
import { encodeFrame } from '../../../shared/wire/encode.ts';
import { FrameReader, maxFrame } from '../../../shared/wire/frame.ts';
import { MAGIC, MagicReader } from '../../../shared/wire/magic.ts';
import type { AgentMessage, ReceiverMessage } from '../../../shared/wire/messages.ts';

export const HELLO: ReceiverMessage = { t: 'hello', version: 1, release: 'test', capabilities: [], grant: 'all' };

export class ScriptedLink implements Link {
  readonly name = 'test:receiver';
  readonly heard: AgentMessage[] = [];
  readonly ended: Promise<LinkEnd>;
  destroyed = false;
  /** Takes no bytes any more: writes wait. */
  clogged = false;
  taken = 0;
  /** All was said. */
  left = false;
  #writing = 0;
  #deliver: (bytes: Uint8Array) => void = () => undefined;
  #end: (end: LinkEnd) => void = () => undefined;
  readonly #magic = new MagicReader(0);
  readonly #frames = new FrameReader(maxFrame(4 * 2 ** 20));
  #greeted = false;
  #onHeard: ((message: AgentMessage) => void) | undefined;

  constructor() {
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  get writing(): boolean {
    return this.#writing > 0;
  }

  /** What the receiver does with each message. */
  onHeard(react: (message: AgentMessage) => void): void {
    this.#onHeard = react;
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#writing++;
    if (this.clogged) return new Promise(() => undefined);
    let rest: Uint8Array | undefined = bytes;
    if (!this.#greeted) {
      rest = this.#magic.feed(bytes);
      this.#greeted = rest !== undefined;
    }
    const frames = rest === undefined ? [] : [...this.#frames.frames(rest)].map((frame) => decodeAgentMessage(frame));
    this.heard.push(...frames);
    this.#writing--;
    this.taken += bytes.length;
    // As a process would: later, never within the call.
    return Promise.resolve().then(() => {
      for (const frame of frames) this.#onHeard?.(frame);
    });
  }

  start(onData: (bytes: Uint8Array) => void): void {
    this.#deliver = onData;
  }

  leave(): Promise<void> {
    this.left = true;
    return Promise.resolve();
  }

  destroy(): void {
    this.destroyed = true;
    this.finish(null, 'SIGTERM');
  }

  raw(bytes: Uint8Array): void {
    const piece = Uint8Array.from(bytes);
    this.#deliver(piece);
    // A process's pipe takes its memory back.
    piece.buffer.transfer(0);
  }

  say(...messages: ReceiverMessage[]): void {
    for (const message of messages) this.raw(encodeFrame(message));
  }

  greet(hello: ReceiverMessage = HELLO): void {
    this.raw(MAGIC);
    this.say(hello);
  }

  finish(status: number | null, signal: string | null = null): void {
    this.#end({ status, signal, stderr: '' });
  }

  explain(end: LinkEnd): { message: string; hint: string } {
    return { message: `ended with ${String(end.status ?? end.signal)}`, hint: 'try again' };
  }
}
