/**
 * Requests that wait for their answers, in the order in which they were made: each answer must match the first of them,
 * by its id and by the answers that the request may have.
 */
import type { AgentRequest, ReceiverMessage } from '../../shared/wire/messages.ts';
import { WINDOW } from '../../shared/wire/limits.ts';
import { ANSWERS } from '../../shared/wire/phases.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { PER_ZERO_CHUNK, allowanceOf, answerCap, waitsForLock, type AnswerCap } from './allowance.ts';
import type { CallClock } from './call-clock.ts';
import { remoteError } from './remote-error.ts';

export type Answer = Exclude<ReceiverMessage, { t: 'hello' }>;
/** The possible closing answers of a request, except `error`, which throws. */
export type Closing = Extract<Answer, { t: 'done' | 'absent' | 'opened' | 'resolved' | 'freed' | 'space' }>;
export type Item = Exclude<Answer, Closing | { t: 'error' | 'working' }>;

const ENDLESS_HINT = 'No honest receiver does that: check what the backup VM runs.';

interface Pending {
  readonly request: AgentRequest;
  readonly onItem: (item: Item) => void;
  readonly resolve: (answer: Closing) => void;
  readonly reject: (error: SparsebakError) => void;
  readonly cap: AnswerCap;
  /** Number of items so far. */
  items: number;
  bytes: number;
  /** Bytes that still count as progress; the caller cannot use more. */
  useful: number;
  /** The last counter of `working`. */
  working: number;
}

export interface Expectation {
  readonly onItem: (item: Item) => void;
  /** Bytes of items that the caller can use; absent: as many as the request's limit allows. */
  readonly usefulBytes?: number | undefined;
  /** Bytes of the longest message. */
  readonly frame: number;
}

/**
 * The task that the receiver must answer, and how much time without progress the connection may spend meanwhile
 * (milliseconds).
 */
export interface Owed {
  readonly task: string;
  readonly wait: number;
}

export class DueAnswers {
  readonly #destination: string;
  readonly #clock: CallClock;
  readonly #pending: Pending[] = [];
  readonly #waiting: (() => void)[] = [];
  /** The id of the answered `begin` whose send is running. */
  #sendId = -1;
  /** Milliseconds that the zero runs of the running send may take. */
  #zeroWork = 0;
  /** Milliseconds that the receiver may wait for another process's lock, as set by `open`. */
  #lockWait = 0;
  /** Called with an `error` for a `begin` that was already answered: the running send has failed. */
  onSendFailed: ((error: SparsebakError) => void) | undefined;

  /** `destination` names the receiver in errors. */
  constructor(destination: string, clock: CallClock) {
    this.#destination = destination;
    this.#clock = clock;
  }

  get count(): number {
    return this.#pending.length;
  }

  /** Returns when one more request may be made, possibly because all have failed. */
  async place(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  get full(): boolean {
    return this.#pending.length >= WINDOW;
  }

  /** What the agent waits for: the answer to the oldest request. */
  get owed(): Owed | undefined {
    const [head] = this.#pending;
    if (head === undefined) return undefined;
    const { t } = head.request;
    const { task, wait } = allowanceOf(t);
    return { task, wait: wait + (waitsForLock(t) ? this.#lockWait : 0) + this.#zeroWork };
  }

  /** To be called when a zero run of `count` chunks was sent. */
  allowZeros(count: number): void {
    this.#zeroWork += count * PER_ZERO_CHUNK;
  }

  get zeroWork(): number {
    return this.#zeroWork;
  }

  /** Resolves with the closing answer to a request that is about to be made. */
  expect(request: AgentRequest, { onItem, usefulBytes, frame }: Expectation): Promise<Closing> {
    if (request.t === 'begin') this.#sendId = request.id;
    if (request.t === 'open') this.#lockWait = request.lockWait * 1000;
    if (this.#pending.length === 0) this.#clock.begin();
    const cap = answerCap(request, frame);
    return new Promise<Closing>((resolve, reject) => {
      const counts = { items: 0, bytes: 0, useful: usefulBytes ?? cap.bytes, working: -1 };
      this.#pending.push({ request, onItem, resolve, reject, cap, ...counts });
    });
  }

  /**
   * @param length bytes of the message
   * @returns the kind of the request that it closed
   * @throws `protocol` for an answer that is not due, or an endless one
   */
  take(message: Answer, length: number): AgentRequest['t'] | undefined {
    const head = this.#pending[0];
    if (message.t === 'working' && this.#clock.isFlood()) {
      throw new SparsebakError('protocol', 'the receiver does not stop reporting that it works');
    }
    if (message.re === this.#sendId && message.re !== head?.request.id) {
      this.#ofSend(message);
      return undefined;
    }
    if (message.re !== head?.request.id) {
      throw new SparsebakError('protocol', `the receiver sent an answer (${message.t}) without a request`);
    }
    return this.#answer(head, message, length);
  }

  /** No further answers will come. */
  fail(error: SparsebakError): void {
    for (const pending of this.#pending.splice(0)) pending.reject(error);
    for (const wake of this.#waiting.splice(0)) wake();
    this.onSendFailed?.(error);
  }

  /** After `begin` is answered and while the send is running, errors between requests carry its id. */
  #ofSend(message: Answer): void {
    // A zero run has no id of its own, and may take long. Each has a separate count.
    if (message.t === 'working') return;
    if (message.t !== 'error') {
      throw new SparsebakError('protocol', `the receiver sent a second answer (${message.t}) to the same request`);
    }
    this.#sendId = -1;
    this.onSendFailed?.(remoteError(message, this.#destination));
  }

  #answer(head: Pending, message: Answer, length: number): AgentRequest['t'] | undefined {
    const { t } = head.request;
    if (message.t === 'working') {
      if (message.count <= head.working) {
        throw new SparsebakError('protocol', 'the receiver reports that it works, but its counter does not advance');
      }
      head.working = message.count;
      return undefined;
    }
    if (message.t === 'error') {
      this.#settle(t);
      head.reject(remoteError(message, this.#destination));
      return t;
    }
    const { items, closing } = ANSWERS[t];
    if (closing.has(message.t)) {
      this.#settle(t);
      if (t === 'commit' || t === 'abandon') {
        this.#sendId = -1;
        this.#zeroWork = 0;
      }
      head.resolve(kept(message as Closing));
      return t;
    }
    if (!items.has(message.t)) {
      throw new SparsebakError('protocol', `the receiver answered ${t} with ${message.t}`);
    }
    this.#count(head, length);
    head.onItem(message as Item);
    return undefined;
  }

  #count(head: Pending, length: number): void {
    const { cap, request } = head;
    head.items++;
    head.bytes += length;
    if (head.items > cap.items || head.bytes > cap.bytes) {
      throw new SparsebakError(
        'protocol',
        `the receiver's answer to ${request.t} does not end: more than ${cap.items} messages or ${cap.bytes} bytes`,
        { hint: ENDLESS_HINT },
      );
    }
    const useful = Math.min(length, head.useful);
    head.useful -= useful;
    this.#clock.progress(useful * allowanceOf(request.t).perByte);
  }

  #settle(kind: AgentRequest['t']): void {
    this.#pending.shift();
    this.#clock.progress(allowanceOf(kind).answered);
    this.#waiting.shift()?.();
  }
}

/** Copies the bytes of a closing answer, which are used after their memory is reused. */
function kept(closing: Closing): Closing {
  if (closing.t !== 'resolved' || closing.head === null) return closing;
  return { ...closing, head: Uint8Array.from(closing.head) };
}
