/**
 * The agent's side of the protocol (docs/protocol.md): sends requests in order, matches answers to them, and counts
 * silence. It always reads: what the receiver may send is limited by the requests, not by back-pressure.
 */
import { FrameReader, maxFrame } from '../../shared/wire/frame.ts';
import { MAGIC, MAX_BANNER, MagicReader } from '../../shared/wire/magic.ts';
import { decodeReceiverMessage } from '../../shared/wire/message-codec.ts';
import { encodeFrame } from '../../shared/wire/encode.ts';
import type { Grant } from '../../shared/wire/grants.ts';
import { type AgentMessage, type AgentRequest, type ReceiverMessage } from '../../shared/wire/messages.ts';
import { CAPABILITIES, PART_SIZE, PROTOCOL_VERSION, SMALL_FRAME } from '../../shared/wire/limits.ts';
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { TAKING } from './allowance.ts';
import { CallClock } from './call-clock.ts';
import { CallWatch, type OnWait } from './call-watch.ts';
import { DueAnswers, type Closing, type Item } from './due-answers.ts';
import { remoteError } from './remote-error.ts';
import type { Link, LinkEnd } from './link.ts';

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;
export type Request = WithoutId<AgentRequest>;
export type Hello = Extract<ReceiverMessage, { t: 'hello' }>;

export interface ClientOptions {
  readonly release: string;
  /**
   * Milliseconds after which the receiver counts as lost, if an answer is due or bytes wait but nothing is received or
   * accepted.
   */
  readonly silence?: number;
  /** Milliseconds after which `alive` is sent if nothing else was. */
  readonly keepAlive?: number;
  /** Ends the connection at once. */
  readonly signal?: AbortSignal;
  readonly onWait?: OnWait | undefined;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

export class ReceiverClient {
  readonly #link: Link;
  readonly #keepAlive: number;
  readonly #now: () => number;
  readonly #clock: CallClock;
  readonly #watch: CallWatch;
  readonly #frames = new FrameReader(SMALL_FRAME);
  readonly #due: DueAnswers;
  #magic: MagicReader | undefined = new MagicReader(MAX_BANNER);
  #hello: { resolve: (hello: Hello) => void; reject: (error: SparsebakError) => void } | undefined;
  #grant: Grant = 'retrieve';
  #release = '';
  #nextId = 1;
  #failure: SparsebakError | undefined;
  #lastSent: number;
  /** Bytes that the receiver had accepted at the last tick. */
  #taken = 0;
  #timer: NodeJS.Timeout | undefined;
  /** The answer to `bye` has arrived. */
  #over = false;

  private constructor(link: Link, options: ClientOptions) {
    this.#link = link;
    const { silence = 60_000, keepAlive = 15_000, now = () => performance.now(), onWait } = options;
    this.#keepAlive = keepAlive;
    this.#now = now;
    this.#clock = new CallClock(now);
    this.#watch = new CallWatch(this.#clock, { destination: link.name, silence, onWait });
    this.#due = new DueAnswers(link.name, this.#clock);
    this.#lastSent = now();
  }

  /**
   * Speaks the magic and `hello`. @throws `unreachable`, `protocol`, `refused` (another protocol version),
   * `interrupted`
   */
  static async connect(link: Link, options: ClientOptions): Promise<ReceiverClient> {
    const client = new ReceiverClient(link, options);
    const hello = new Promise<Hello>((resolve, reject) => {
      client.#hello = { resolve, reject };
    });
    // It may be rejected while our own greeting is still being written.
    hello.catch(() => undefined);
    void link.ended.then((end) => {
      client.#ended(end);
    });
    client.#timer = setInterval(
      () => {
        client.#tick();
      },
      Math.min(1000, client.#watch.silence / 4),
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
      encodeFrame({
        t: 'hello',
        version: PROTOCOL_VERSION,
        release: options.release,
        capabilities: [...CAPABILITIES],
      }),
    );
    const { grant, release } = await hello;
    client.#grant = grant;
    client.#release = escapeText(release, 100);
    return client;
  }

  get destination(): string {
    return this.#link.name;
  }

  /** The grant that the receiver reports for this connection. */
  get grant(): Grant {
    return this.#grant;
  }

  /** The receiver's release, as it reports it. */
  get release(): string {
    return this.#release;
  }

  /** Called with an `error` for a `begin` that was already answered: the running send has failed. */
  set onSendFailed(handler: ((error: SparsebakError) => void) | undefined) {
    this.#due.onSendFailed = handler;
  }

  /** Why the connection is over, if it is. */
  get failure(): SparsebakError | undefined {
    return this.#failure;
  }

  /** To be called after `opened`: frames of the archive's chunk size are accepted from then on. */
  setChunkSize(chunkSize: number): void {
    this.#frames.limit = maxFrame(chunkSize);
  }

  /**
   * Sends a request and waits for its closing answer. Waits while 32 requests are unanswered.
   * @param onItem called for each item before the closing answer; bytes in it are valid during the call only
   * @param usefulBytes how many bytes of the answer count as progress: as many as the caller expects
   * @throws the receiver's `error`, or why the connection ended
   */
  async request(
    request: Request,
    onItem: (item: Item) => void = unexpectedItem,
    usefulBytes?: number,
  ): Promise<Closing> {
    while (this.#due.full && this.#failure === undefined) await this.#due.place();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#over) throw new SparsebakError('failed', `${request.t} after the end of the call`);
    const asked: AgentRequest = { ...request, id: this.#nextId++ };
    const answer = this.#due.expect(asked, { onItem, usefulBytes, frame: this.#frames.limit });
    // It may be rejected while its bytes are still being written.
    answer.catch(() => undefined);
    await this.#write(encodeFrame(asked));
    return answer;
  }

  /** Sends a message that has no answer. Resolves when its bytes were written. */
  async send(message: Exclude<AgentMessage, { id: number }>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (message.t === 'zeros') this.#due.allowZeros(message.count);
    await this.#write(encodeFrame(message));
  }

  /** Sends frames that are already encoded (chunk-frame.ts). The buffer may be used again when this resolves. */
  async sendFrames(frames: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    await this.#write(frames);
  }

  /** Sends a long object before the request that uses it. */
  async sendParts(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += PART_SIZE) {
      await this.send({ t: 'part', data: bytes.subarray(at, at + PART_SIZE) });
    }
  }

  /**
   * Ends the connection properly. After the answer all requests are done, whatever the receiver's process does from
   * then on, or whatever keeps its pipes open.
   */
  async bye(): Promise<void> {
    await this.request({ t: 'bye' });
    await this.#link.leave();
  }

  /** Ends the connection at once; the receiver drops everything that is not committed. */
  close(reason = new SparsebakError('unreachable', 'the connection was closed')): void {
    this.#fail(reason);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#lastSent = this.#now();
    // Silence counts from when there is something to accept.
    if (!this.#isOwing) this.#clock.begin();
    await this.#link.write(bytes);
  }

  #receive(bytes: Uint8Array): void {
    if (this.#failure !== undefined || this.#over) return;
    try {
      let rest: Uint8Array | undefined = bytes;
      if (this.#magic !== undefined) {
        rest = this.#magic.feed(bytes);
        if (rest === undefined) return;
        this.#magic = undefined;
      }
      for (const frame of this.#frames.frames(rest)) {
        if (this.#message(decodeReceiverMessage(frame), frame.length) === 'over') return;
      }
    } catch (error) {
      this.#fail(asSparsebakError(error, 'protocol'));
    }
  }

  #message(message: ReceiverMessage, length: number): 'over' | 'going on' {
    this.#clock.heard();
    if (this.#hello !== undefined) {
      this.#greeting(message);
      return 'going on';
    }
    if (message.t === 'hello') throw new SparsebakError('protocol', 'the receiver greeted twice');
    const closed = this.#due.take(message, length);
    this.#watch.heard();
    if (closed !== 'bye' || message.t !== 'done') return 'going on';
    this.#over = true;
    this.#stop();
    return 'over';
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

  /** Whether the receiver has something to answer or to accept. */
  get #isOwing(): boolean {
    return this.#due.count > 0 || this.#hello !== undefined || this.#link.writing;
  }

  #tick(): void {
    this.#clock.tick(this.#isOwing);
    const { taken } = this.#link;
    if (taken > this.#taken) {
      this.#clock.heard();
      this.#clock.progress((taken - this.#taken) * TAKING.perByte);
      this.#taken = taken;
    }
    const owed = this.#due.owed ?? { task: TAKING.task, wait: TAKING.wait + this.#due.zeroWork };
    const late = this.#watch.look(this.#hello === undefined ? owed : { ...owed, task: 'answer' });
    if (late !== undefined) {
      this.#fail(late);
      return;
    }
    const now = this.#now();
    const idle = this.#hello === undefined && !this.#link.writing;
    if (idle && now - this.#lastSent > this.#keepAlive) {
      const alive = encodeFrame({ t: 'alive' });
      this.#lastSent = now;
      // Its acceptance is no sign of life: the pipe accepts it whether it is read or not.
      this.#taken += alive.length;
      void this.#link.write(alive);
    }
  }

  #ended(end: LinkEnd): void {
    if (this.#over) return;
    const { message, hint } = this.#link.explain(end);
    this.#fail(new SparsebakError('unreachable', `${this.destination}: ${message}`, { hint, cause: end.startError }));
  }

  #fail(error: SparsebakError): void {
    if (this.#failure !== undefined || this.#over) return;
    this.#failure = error;
    this.#stop();
    this.#hello?.reject(error);
    this.#hello = undefined;
    this.#due.fail(error);
    this.#link.destroy();
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#watch.end();
  }
}

function otherVersion(hello: Hello, destination: string): SparsebakError {
  const release = escapeText(hello.release, 100);
  return new SparsebakError(
    'refused',
    `${destination}: the receiver (${release}) speaks protocol version ${hello.version}, this agent ` +
      `${PROTOCOL_VERSION}`,
    {
      hint: 'Install the same release of sparsebak on both sides.',
    },
  );
}

function unexpectedItem(item: Item): void {
  throw new SparsebakError('protocol', `the receiver sent ${item.t}, which was not asked for`);
}
