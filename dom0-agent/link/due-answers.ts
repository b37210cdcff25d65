/**
 * Requests that wait for their answers, in the order in which they were made: each answer is matched to the first of
 * them, by its id and by what that request may be answered.
 */
import type { AgentRequest, ReceiverMessage } from '../../shared/wire/messages.ts';
import { WINDOW } from '../../shared/wire/limits.ts';
import { ANSWERS } from '../../shared/wire/phases.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { PER_ZERO_CHUNK, allowanceOf, answerCap, waitsForLock, type AnswerCap } from './allowance.ts';
import type { CallClock } from './call-clock.ts';
import { remoteError } from './remote-error.ts';

export type Answer = Exclude<ReceiverMessage, { t: 'hello' }>;
/** What a request's closing answer may be, but for `error`, which throws. */
export type Closing = Extract<Answer, { t: 'done' | 'absent' | 'opened' | 'resolved' | 'freed' | 'space' }>;
export type Item = Exclude<Answer, Closing | { t: 'error' | 'working' }>;

const ENDLESS_HINT = 'No honest receiver does that: see what the backup VM runs.';

interface Pending {
  readonly request: AgentRequest;
  readonly onItem: (item: Item) => void;
  readonly resolve: (answer: Closing) => void;
  readonly reject: (error: SparsebakError) => void;
  readonly cap: AnswerCap;
  /** Of the items so far. */
  items: number;
  bytes: number;
  /** Bytes that still make good time; what comes beyond is of no use to the caller. */
  useful: number;
  /** The last counter of `working`. */
  working: number;
}

export interface Expectation {
  readonly onItem: (item: Item) => void;
  /** Bytes of items that the caller can use; absent: all that the request's cap allows. */
  readonly usefulBytes?: number | undefined;
  /** Bytes of the longest message. */
  readonly frame: number;
}

/**
 * What the receiver owes an answer to, and how much time without progress the call may have spent meanwhile
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
  /** Of the `begin` whose send is under way, though it is answered. */
  #sendId = -1;
  /** Milliseconds: what the zero runs of the send under way may take. */
  #zeroWork = 0;
  /** Milliseconds that the receiver may wait for another process's lock, as `open` said. */
  #lockWait = 0;
  /** Called with an `error` that answers a `begin` which was already answered: the send under way has failed. */
  onSendFailed: ((error: SparsebakError) => void) | undefined;

  /** `destination` names the receiver in errors. */
  constructor(destination: string, clock: CallClock) {
    this.#destination = destination;
    this.#clock = clock;
  }

  get count(): number {
    return this.#pending.length;
  }

  /** Returns when one more request may be made; that may be because all were failed. */
  async place(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  get full(): boolean {
    return this.#pending.length >= WINDOW;
  }

  /** What is waited for: the answer to the oldest request. */
  get owed(): Owed | undefined {
    const [head] = this.#pending;
    if (head === undefined) return undefined;
    const { t } = head.request;
    const { task, wait } = allowanceOf(t);
    return { task, wait: wait + (waitsForLock(t) ? this.#lockWait : 0) + this.#zeroWork };
  }

  /** A zero run of so many chunks was sent. */
  allowZeros(count: number): void {
    this.#zeroWork += count * PER_ZERO_CHUNK;
  }

  get zeroWork(): number {
    return this.#zeroWork;
  }

  /** The closing answer to a request that is about to be made. */
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
   * @throws `protocol` for an answer that is not due, or one without end
   */
  take(message: Answer, length: number): AgentRequest['t'] | undefined {
    const head = this.#pending[0];
    if (message.t === 'working' && this.#clock.isFlood()) {
      throw new SparsebakError('protocol', 'the receiver says without end that it works');
    }
    if (message.re === this.#sendId && message.re !== head?.request.id) {
      this.#ofSend(message);
      return undefined;
    }
    if (message.re !== head?.request.id) {
      throw new SparsebakError('protocol', `the receiver answered (${message.t}) what was not asked`);
    }
    return this.#answer(head, message, length);
  }

  /** None will come any more. */
  fail(error: SparsebakError): void {
    for (const pending of this.#pending.splice(0)) pending.reject(error);
    for (const wake of this.#waiting.splice(0)) wake();
    this.onSendFailed?.(error);
  }

  /** `begin` is answered and the send goes on: what becomes of it between requests is said to its id. */
  #ofSend(message: Answer): void {
    // A zero run has no id of its own, and may take long. Each begins a count of its own.
    if (message.t === 'working') return;
    if (message.t !== 'error') {
      throw new SparsebakError('protocol', `the receiver answered (${message.t}) what was answered already`);
    }
    this.#sendId = -1;
    this.onSendFailed?.(remoteError(message, this.#destination));
  }

  #answer(head: Pending, message: Answer, length: number): AgentRequest['t'] | undefined {
    const { t } = head.request;
    if (message.t === 'working') {
      if (message.count <= head.working) {
        throw new SparsebakError('protocol', 'the receiver says it works, but its counter stands still');
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
        `the receiver answers ${request.t} without end: more than ${cap.items} messages or ${cap.bytes} bytes`,
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

/** Bytes of a closing answer are used after the call that they came in, and their memory is not. */
function kept(closing: Closing): Closing {
  if (closing.t !== 'resolved' || closing.head === null) return closing;
  return { ...closing, head: Uint8Array.from(closing.head) };
}
