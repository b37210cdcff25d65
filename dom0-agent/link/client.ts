/**
 * The agent's side of the protocol (docs/protocol.md): requests in order, their answers matched to them, silence counted.
 * It always reads: what the receiver may send is bounded by what was asked for, never by not listening.
 */
import { FrameReader, maxFrame } from '../../shared/wire/frame.ts';
import { MAGIC, MAX_BANNER, MagicReader } from '../../shared/wire/magic.ts';
import { decodeReceiverMessage } from '../../shared/wire/codec.ts';
import { encodeFrame } from '../../shared/wire/encode.ts';
import { type AgentMessage, type AgentRequest, type ReceiverMessage } from '../../shared/wire/messages.ts';
import { PART_SIZE, PROTOCOL_VERSION, SMALL_FRAME, WINDOW } from '../../shared/wire/limits.ts';
import { ANSWERS } from '../../shared/wire/phases.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { remoteError } from './remote-error.ts';
import type { Link, LinkEnd } from './link.ts';

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
export type Request = WithoutId<AgentRequest>;
type Answer = Exclude<ReceiverMessage, { t: 'hello' }>;
/** What a request's closing answer may be, but for `error`, which throws. */
export type Closing = Extract<Answer, { t: 'done' | 'absent' | 'opened' | 'resolved' }>;
export type Item = Exclude<Answer, Closing | { t: 'error' | 'working' }>;
export type Hello = Extract<ReceiverMessage, { t: 'hello' }>;

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

export interface ClientOptions {
  readonly release: string;
  /** Milliseconds in which an answer is due or bytes wait, but nothing comes and nothing is taken: the receiver is lost. */
  readonly silence?: number;
  /** Milliseconds after which `alive` is sent when nothing else was. */
  readonly keepAlive?: number;
  /** Ends the call at once. */
  readonly signal?: AbortSignal;
}

/** `working` answers to one request: a day of them at the pace of an honest receiver, an instant at that of a flood. */
const MAX_WORKING = 8640;

export class ReceiverClient {
  readonly #link: Link;
  readonly #options: Required<Omit<ClientOptions, 'signal'>>;
  readonly #frames = new FrameReader(SMALL_FRAME);
  readonly #pending: Pending[] = [];
  readonly #waiting: (() => void)[] = [];
  #magic: MagicReader | undefined = new MagicReader(MAX_BANNER);
  #hello: { resolve: (hello: Hello) => void; reject: (error: SparsebakError) => void } | undefined;
  #nextId = 1;
  #failure: SparsebakError | undefined;
  #lastHeard = Date.now();
  #lastSent = Date.now();
  #lastWritten = 0;
  #timer: NodeJS.Timeout | undefined;
  #said = false;
  /** Called with an `error` that answers a `begin` which was already answered: the send under way has failed. */
  onSendFailed: ((error: SparsebakError) => void) | undefined;
  /** Of the `begin` whose send is under way, though it is answered. */
  #sendId = -1;
  #sendWorking = newWorking();

  private constructor(link: Link, options: ClientOptions) {
    this.#link = link;
    const { release, silence = 60_000, keepAlive = 15_000 } = options;
    this.#options = { release, silence, keepAlive };
  }

  /** Speaks the magic and `hello`. @throws `unreachable`, `protocol`, `refused` (another protocol version), `interrupted` */
  static async connect(link: Link, options: ClientOptions): Promise<ReceiverClient> {
    const client = new ReceiverClient(link, options);
    const hello = new Promise<Hello>((resolve, reject) => {
      client.#hello = { resolve, reject };
    });
    // It may be rejected while our own greeting is still being handed over.
    hello.catch(() => undefined);
    void link.ended.then((end) => {
      client.#ended(end);
    });
    client.#timer = setInterval(
      () => {
        client.#tick();
      },
      Math.min(1000, client.#options.silence / 4),
    );
    client.#timer.unref();
    const { signal } = options;
    const interrupt = () => {
      client.close(new SparsebakError('interrupted', 'interrupted'));
    };
    if (signal?.aborted === true) interrupt();
    signal?.addEventListener('abort', interrupt, { once: true });
    link.start((bytes) => {
      client.#receive(bytes);
    });
    await client.#write(MAGIC);
    await client.#write(
      encodeFrame({ t: 'hello', version: PROTOCOL_VERSION, release: options.release, capabilities: [] }),
    );
    await hello;
    return client;
  }

  get destination(): string {
    return this.#link.name;
  }

  /** Why the connection is over, if it is. */
  get failure(): SparsebakError | undefined {
    return this.#failure;
  }

  /** From `opened` on, frames of the archive's chunk size are taken. */
  setChunkSize(chunkSize: number): void {
    this.#frames.limit = maxFrame(chunkSize);
  }

  /**
   * Sends a request and waits for its closing answer. Waits for a place when 32 are unanswered.
   * @param onItem called for each item before the closing answer; bytes in it are valid during the call only
   * @throws the receiver's `error`, or why the connection ended
   */
  async request(request: Request, onItem: (item: Item) => void = unexpectedItem): Promise<Closing> {
    while (this.#pending.length >= WINDOW && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#nextId++;
    if (this.#pending.length === 0) this.#lastHeard = Date.now();
    if (request.t === 'begin') {
      this.#sendId = id;
      this.#sendWorking = newWorking();
    }
    const answer = new Promise<Closing>((resolve, reject) => {
      this.#pending.push({ id, kind: request.t, onItem, resolve, reject, working: newWorking() });
    });
    // It may be rejected while its bytes are still being handed over.
    answer.catch(() => undefined);
    await this.#write(encodeFrame({ ...request, id }));
    return answer;
  }

  /** Sends a message that has no answer. Resolves when its bytes were handed over. */
  async send(message: Exclude<AgentMessage, { id: number }>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await this.#write(encodeFrame(message));
  }

  /** Sends frames that are encoded already (chunk-frame.ts). The buffer may be used again when this resolves. */
  async sendFrames(frames: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await this.#write(frames);
  }

  /** Sends a long object ahead of the request that takes it. */
  async sendParts(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += PART_SIZE) {
      await this.send({ t: 'part', data: bytes.subarray(at, at + PART_SIZE) });
    }
  }

  /** Ends the call in order: it is over only by the last answer and exit status 0. */
  async bye(): Promise<void> {
    await this.request({ t: 'bye' });
    this.#said = true;
    this.#link.end();
    const end = await this.#link.ended;
    this.#stop();
    if (this.#failure !== undefined) throw this.#failure;
    if (end.status !== 0) {
      const { message, hint } = this.#link.explain(end);
      throw new SparsebakError('unreachable', `at the very end ${message}`, { hint });
    }
  }

  /** Ends the call at once; what is not committed is dropped by the receiver. */
  close(reason = new SparsebakError('unreachable', 'the connection was closed')): void {
    this.#fail(reason);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#lastSent = Date.now();
    // Silence counts from when there is something to answer or to take.
    if (this.#pending.length === 0 && !this.#link.writing) this.#lastHeard = this.#lastSent;
    await this.#link.write(bytes);
    this.#lastWritten = Date.now();
  }

  #receive(bytes: Uint8Array): void {
    if (this.#failure !== undefined) return;
    try {
      let rest: Uint8Array | undefined = bytes;
      if (this.#magic !== undefined) {
        rest = this.#magic.feed(bytes);
        if (rest === undefined) return;
        this.#magic = undefined;
      }
      for (const frame of this.#frames.frames(rest)) this.#message(decodeReceiverMessage(frame));
    } catch (error) {
      this.#fail(asSparsebakError(error, 'protocol'));
    }
  }

  #message(message: ReceiverMessage): void {
    this.#lastHeard = Date.now();
    if (this.#hello !== undefined) {
      this.#greeting(message);
      return;
    }
    if (message.t === 'hello') throw new SparsebakError('protocol', 'the receiver greeted twice');
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

  /** `begin` is answered and the send goes on: what becomes of it between requests is said to its id. */
  #ofSend(message: Answer): void {
    // A zero run has no id of its own, and may take long. Each begins a count of its own.
    if (message.t === 'working') noteWorking(this.#sendWorking);
    else if (message.t === 'error') {
      this.#sendId = -1;
      this.onSendFailed?.(remoteError(message, this.destination));
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
      head.reject(remoteError(message, this.destination));
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

  #greeting(message: ReceiverMessage): void {
    if (message.t === 'hello') {
      if (message.version !== PROTOCOL_VERSION) throw otherVersion(message, this.destination);
      this.#hello?.resolve(message);
      this.#hello = undefined;
      return;
    }
    if (message.t === 'error') throw remoteError(message, this.destination);
    throw new SparsebakError('protocol', `the receiver began with ${message.t} instead of hello`);
  }

  #tick(): void {
    const now = Date.now();
    const due = this.#pending.length > 0 || this.#hello !== undefined || this.#said || this.#link.writing;
    const taken = this.#link.writing ? this.#link.lastTaken : 0;
    const lastSign = Math.max(this.#lastHeard, this.#lastWritten, taken);
    if (due && now - lastSign > this.#options.silence) {
      this.#fail(
        new SparsebakError(
          'unreachable',
          `${this.destination}: no word from the receiver for ${Math.round(this.#options.silence / 1000)} s`,
          {
            hint: 'Nothing that was committed is lost; see whether the backup VM or its disk hangs, then run the command again.',
          },
        ),
      );
      return;
    }
    const idle = this.#hello === undefined && !this.#said && !this.#link.writing;
    if (idle && now - this.#lastSent > this.#options.keepAlive) {
      // Not a sign of life: the pipe takes it whether anybody reads it or not.
      this.#lastSent = now;
      void this.#link.write(encodeFrame({ t: 'alive' }));
    }
  }

  #ended(end: LinkEnd): void {
    if (this.#said) return;
    const { message, hint } = this.#link.explain(end);
    this.#fail(new SparsebakError('unreachable', `${this.destination}: ${message}`, { hint, cause: end.startError }));
  }

  #fail(error: SparsebakError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#stop();
    this.#hello?.reject(error);
    this.#hello = undefined;
    for (const pending of this.#pending.splice(0)) pending.reject(error);
    for (const wake of this.#waiting.splice(0)) wake();
    this.onSendFailed?.(error);
    this.#link.destroy();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function otherVersion(hello: Hello, destination: string): SparsebakError {
  const release = escapeText(hello.release, 100);
  return new SparsebakError(
    'refused',
    `${destination}: the receiver (${release}) speaks protocol version ${hello.version}, this agent ${PROTOCOL_VERSION}`,
    {
      hint: 'Install the same release of sparsebak on both sides.',
    },
  );
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

function unexpectedItem(item: Item): void {
  throw new SparsebakError('protocol', `the receiver sent ${item.t}, which was not asked for`);
}
