/**
 * Requests that wait for their answers, in the order in which they were made: each answer is matched to the first of them,
 * by its id and by what that request may be answered.
 */
import type { AgentRequest, ReceiverMessage } from '../../shared/wire/messages.ts';
import { WINDOW } from '../../shared/wire/limits.ts';
import { ANSWERS } from '../../shared/wire/phases.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { remoteError } from './remote-error.ts';

export type Answer = Exclude<ReceiverMessage, { t: 'hello' }>;
/** What a request's closing answer may be, but for `error`, which throws. */
export type Closing = Extract<Answer, { t: 'done' | 'absent' | 'opened' | 'resolved' | 'freed' | 'space' }>;
export type Item = Exclude<Answer, Closing | { t: 'error' | 'working' }>;

interface Pending {
  readonly id: number;
  readonly kind: AgentRequest['t'];
  readonly onItem: (item: Item) => void;
  readonly resolve: (answer: Closing) => void;
  readonly reject: (error: SparsebakError) => void;
  readonly working: Working;
}

/** What `working` said of one request. */
interface Working {
  /** How often it came. */
  times: number;
  /** The last counter. */
  count: number;
}

function newWorking(): Working {
  return { times: 0, count: -1 };
}

/** `working` answers to one request: a day of them at the pace of an honest receiver, an instant at that of a flood. */
const MAX_WORKING = 8640;

export class DueAnswers {
  readonly #destination: string;
  readonly #pending: Pending[] = [];
  readonly #waiting: (() => void)[] = [];
  /** Of the `begin` whose send is under way, though it is answered. */
  #sendId = -1;
  #sendWorking = newWorking();
  /** Called with an `error` that answers a `begin` which was already answered: the send under way has failed. */
  onSendFailed: ((error: SparsebakError) => void) | undefined;

  /** `destination` names the receiver in errors. */
  constructor(destination: string) {
    this.#destination = destination;
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

  /** The closing answer to a request that is about to be made. */
  expect(id: number, kind: AgentRequest['t'], onItem: (item: Item) => void): Promise<Closing> {
    if (kind === 'begin') {
      this.#sendId = id;
      this.#sendWorking = newWorking();
    }
    return new Promise<Closing>((resolve, reject) => {
      this.#pending.push({ id, kind, onItem, resolve, reject, working: newWorking() });
    });
  }

  /** @throws `protocol` for an answer that is not due, `unreachable` for work without an end */
  take(message: Answer): void {
    const head = this.#pending[0];
    if (message.re === this.#sendId && message.re !== head?.id) {
      this.#ofSend(message);
      return;
    }
    if (message.re !== head?.id) {
      throw new SparsebakError('protocol', `the receiver answered (${message.t}) what was not asked`);
    }
    this.#answer(head, message);
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
    if (message.t === 'working') noteWorking(this.#sendWorking);
    else if (message.t === 'error') {
      this.#sendId = -1;
      this.onSendFailed?.(remoteError(message, this.#destination));
    } else throw new SparsebakError('protocol', `the receiver answered (${message.t}) what was answered already`);
  }

  #answer(head: Pending, message: Answer): void {
    if (message.t === 'working') {
      if (message.count <= head.working.count) {
        throw new SparsebakError('protocol', 'the receiver says it works, but its counter stands still');
      }
      head.working.count = message.count;
      noteWorking(head.working);
      return;
    }
    if (message.t === 'error') {
      this.#settle();
      head.reject(remoteError(message, this.#destination));
      return;
    }
    const { items, closing } = ANSWERS[head.kind];
    if (closing.has(message.t)) {
      this.#settle();
      if (head.kind === 'commit' || head.kind === 'abandon') this.#sendId = -1;
      head.resolve(kept(message as Closing));
    } else if (items.has(message.t)) {
      head.onItem(message as Item);
    } else {
      throw new SparsebakError('protocol', `the receiver answered ${head.kind} with ${message.t}`);
    }
  }

  #settle(): void {
    this.#pending.shift();
    this.#waiting.shift()?.();
  }
}

/** Bytes of a closing answer are used after the call that they came in, and their memory is not. */
function kept(closing: Closing): Closing {
  if (closing.t !== 'resolved' || closing.head === null) return closing;
  return { ...closing, head: Uint8Array.from(closing.head) };
}

function noteWorking(working: Working): void {
  if (++working.times > MAX_WORKING) {
    throw new SparsebakError('unreachable', 'the receiver says that it works, and comes to no end', {
      hint: 'Nothing that was committed is lost; see what the backup VM is doing.',
    });
  }
}
