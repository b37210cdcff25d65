// A scripted agent at the other end of a real receiver process.

import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import type { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeReceiverMessage } from '../../shared/wire/message-codec.ts';
import { encodeFrame } from '../../shared/wire/encode.ts';
import { FrameReader } from '../../shared/wire/frame.ts';
import { MAGIC, MAX_BANNER, MagicReader } from '../../shared/wire/magic.ts';
import type { AgentMessage, AgentRequest, ReceiverMessage } from '../../shared/wire/messages.ts';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
export const MAIN = join(root, 'vm-receiver/main.ts');

export interface PeerOptions {
  readonly args: readonly string[];
  /** What is started, and by which Node; the sources by this one unless told otherwise. */
  readonly program?: string;
  readonly node?: string;
  /** Put ahead of all: `strace …`. */
  readonly wrapper?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** One socket for both directions, as qrexec has it: the receiver's end and ours. */
  readonly socket?: { readonly theirs: Socket; readonly ours: Socket };
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

type Unnumbered<T> = T extends { id: number } ? Omit<T, 'id'> : never;
/** A request whose id the peer gives. */
export type Request = Unnumbered<AgentRequest>;

export interface Answer {
  readonly closing: ReceiverMessage;
  readonly items: readonly ReceiverMessage[];
}

const CLOSING = new Set<ReceiverMessage['t']>(['done', 'error', 'absent', 'opened', 'resolved', 'freed', 'space']);

export class Peer {
  readonly child: ChildProcess;
  readonly input: Writable;
  readonly output: Readable;
  readonly ended: Promise<Ended>;
  readonly #messages: ReceiverMessage[] = [];
  #wake: (() => void) | undefined;
  #over = false;
  #pause: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined;
  #id = 0;
  /** The counters of the `working` that came; they are not handed out. */
  readonly working: number[] = [];

  constructor(options: PeerOptions) {
    const { args, program = MAIN, node = process.execPath, wrapper = [], env = {}, socket } = options;
    const command = [...wrapper, node, program, ...args];
    const stdio: StdioOptions = [socket?.theirs ?? 'pipe', socket?.theirs ?? 'pipe', 'pipe'];
    const cache = { NODE_COMPILE_CACHE: join(tmpdir(), 'sparsebak-compile-cache') };
    this.child = spawn(command[0]!, command.slice(1), { stdio, env: { ...process.env, ...cache, ...env } });
    this.input = socket?.ours ?? this.child.stdin!;
    this.output = socket?.ours ?? this.child.stdout!;
    this.input.on('error', () => undefined);
    this.ended = this.#end();
    void this.#read();
  }

  async #end(): Promise<Ended> {
    let stderr = '';
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [code, signal] = (await once(this.child, 'close')) as [number | null, NodeJS.Signals | null];
    return { code, signal, stderr };
  }

  /** Takes what comes, until it ends. */
  async #read(): Promise<void> {
    const magic = new MagicReader(MAX_BANNER);
    const reader = new FrameReader(8 * 2 ** 20);
    let found = false;
    try {
      for await (const piece of this.output as AsyncIterable<Buffer>) {
        let rest: Uint8Array | undefined = piece;
        await this.#pause?.promise;
        if (!found) {
          rest = magic.feed(piece);
          if (rest === undefined) continue;
          found = true;
        }
        for (const frame of reader.frames(rest)) this.#keep(decodeReceiverMessage(Uint8Array.from(frame)));
      }
    } finally {
      this.#over = true;
      this.#wake?.();
    }
  }

  /**
   * Takes nothing, beyond the little that the stream reads ahead, until `resume`. To pause the stream itself stops no
   * iteration.
   */
  pause(): void {
    let resolve = (): void => undefined;
    const promise = new Promise<void>((settle) => (resolve = settle));
    this.#pause = { promise, resolve };
  }

  resume(): void {
    this.#pause?.resolve();
    this.#pause = undefined;
  }

  #keep(message: ReceiverMessage): void {
    if (message.t === 'working') this.working.push(message.count);
    else this.#messages.push(message);
    this.#wake?.();
  }

  /** What came and was not asked for yet. */
  get received(): readonly ReceiverMessage[] {
    return this.#messages;
  }

  /** The next message; undefined at the end of the stream. */
  async next(): Promise<ReceiverMessage | undefined> {
    while (this.#messages.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#messages.shift();
  }

  raw(bytes: Uint8Array): void {
    this.input.write(bytes);
  }

  send(message: AgentMessage): void {
    this.input.write(encodeFrame(message));
  }

  /** Sends and waits until the pipe has taken it. */
  async push(message: AgentMessage): Promise<void> {
    if (!this.input.write(encodeFrame(message))) await once(this.input, 'drain');
  }

  /** Sends a request without waiting; gives its id. */
  ask(request: Request): number {
    const id = (this.#id += 1);
    this.send({ ...request, id });
    return id;
  }

  /** All that answers one request. */
  async answerTo(id: number): Promise<Answer> {
    const items: ReceiverMessage[] = [];
    for (;;) {
      const message = await this.next();
      if (message === undefined) throw new Error(`no answer to ${id}: ${JSON.stringify(await this.ended)}`);
      if (!('re' in message) || message.re !== id) throw new Error(`not an answer to ${id}: ${describe(message)}`);
      if (CLOSING.has(message.t)) return { closing: message, items };
      items.push(message);
    }
  }

  async request(request: Request): Promise<Answer> {
    return await this.answerTo(this.ask(request));
  }

  /** A request that must succeed. */
  async done(request: Request): Promise<Answer> {
    const answer = await this.request(request);
    if (answer.closing.t === 'error') throw new Error(`${request.t}: ${describe(answer.closing)}`);
    return answer;
  }

  /** A request that must fail: the code. */
  async refused(request: Request): Promise<string> {
    const { closing } = await this.request(request);
    if (closing.t !== 'error') throw new Error(`${request.t} was not refused: ${describe(closing)}`);
    return closing.code;
  }

  async greet(capabilities: string[] = []): Promise<ReceiverMessage | undefined> {
    this.raw(MAGIC);
    this.send({ t: 'hello', version: 1, release: 'test', capabilities });
    return await this.next();
  }

  /** `bye` and the process's end. */
  async bye(): Promise<Ended> {
    await this.done({ t: 'bye' });
    this.input.end();
    return await this.ended;
  }

  /** The end of the stream, without `bye`. */
  async hangUp(): Promise<Ended> {
    this.input.end();
    return await this.ended;
  }

  async kill(): Promise<Ended> {
    this.child.kill('SIGKILL');
    return await this.ended;
  }
}

export function describe(message: ReceiverMessage | undefined): string {
  return JSON.stringify(message, (_, value: unknown) =>
    value instanceof Uint8Array ? `${value.length} bytes` : value,
  );
}
