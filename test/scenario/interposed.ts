// Stands between an agent and its receiver: reads every message that goes through, and at one of them does what the
// test asked for in INTERPOSE. What went through is noted in a file, one line a message.

import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeAgentMessage, decodeReceiverMessage } from '../../shared/wire/message-codec.ts';
import { FrameReader, maxFrame } from '../../shared/wire/frame.ts';
import { MAGIC, MAX_BANNER, MagicReader } from '../../shared/wire/magic.ts';
import { MAX_CHUNK_SIZE } from '../../shared/archive/address.ts';
import { RECEIVER } from './program.ts';

export type Action =
  /** SIGKILL to the agent; the message does not arrive, the receiver finds the end of its input. */
  | 'kill-agent'
  /** The same, but what the agent said last arrives first. */
  | 'deliver-and-kill-agent'
  | 'kill-receiver'
  /** SIGTERM or SIGINT to the agent, and nothing goes through any more. */
  | 'term-agent'
  | 'int-agent'
  /** Writes the file `reached`, and goes on when the file `go` is there. */
  | 'hold';

export interface Interposition {
  readonly from: 'agent' | 'receiver';
  /** The message's type; of an answer, `done to commit`. */
  readonly what: string;
  /** The first such message is 1. */
  readonly nth?: number;
  readonly action: Action;
  readonly reached?: string;
  readonly go?: string;
}

/** Over qrexec we stand before the client, which is in our arguments; else in the receiver's place. */
const CLIENT = process.env.QUBES_BETWEEN !== undefined;

if (CLIENT || process.argv.includes('serve'))
  await interpose(JSON.parse(process.env.INTERPOSE ?? 'null') as Interposition | null);

async function interpose(plan: Interposition | null): Promise<void> {
  const served = process.env.INTERPOSE_RECEIVER ?? RECEIVER;
  const receiver = spawn(process.execPath, [...(CLIENT ? [] : [served]), ...process.argv.slice(2)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  receiver.stdin.on('error', () => undefined);
  process.stdout.on('error', () => undefined);
  const requests = new Map<number, string>();
  const seen = new Map<string, number>();
  let over = false;

  /** Whether the message may go on. */
  const look = async (from: Interposition['from'], what: string, deliver: () => void): Promise<boolean> => {
    if (over) return false;
    const key = `${from} ${what}`;
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    if (process.env.INTERPOSE_TRACE !== undefined) appendFileSync(process.env.INTERPOSE_TRACE, `${key}\n`);
    if (plan?.from !== from || plan.what !== what || count !== (plan.nth ?? 1)) return true;
    if (plan.reached !== undefined) writeFileSync(plan.reached, '');
    switch (plan.action) {
      case 'hold':
        while (!existsSync(plan.go ?? '')) await delay(10);
        return true;
      case 'deliver-and-kill-agent':
        deliver();
        break;
      default:
    }
    over = true;
    if (plan.action === 'kill-receiver') {
      if (CLIENT) process.kill(newestService(), 'SIGKILL');
      else receiver.kill('SIGKILL');
      return false;
    }
    const signals = {
      'kill-agent': 'SIGKILL',
      'deliver-and-kill-agent': 'SIGKILL',
      'term-agent': 'SIGTERM',
      'int-agent': 'SIGINT',
    } as const;
    process.kill(process.ppid, signals[plan.action]);
    receiver.stdin.end();
    return false;
  };

  const toReceiver = async (): Promise<void> => {
    await relay(
      process.stdin,
      false,
      async (frame, bytes) => {
        const message = decodeAgentMessage(frame);
        if ('id' in message) requests.set(message.id, message.t);
        const deliver = () => receiver.stdin.write(bytes);
        if (await look('agent', message.t, deliver)) deliver();
      },
      (magic) => receiver.stdin.write(magic),
    );
    receiver.stdin.end();
  };
  const toAgent = async (): Promise<void> => {
    await relay(
      receiver.stdout,
      true,
      async (frame, bytes) => {
        const message = decodeReceiverMessage(frame);
        const to = 're' in message ? ` to ${requests.get(message.re) ?? '?'}` : '';
        const deliver = () => process.stdout.write(bytes);
        if (await look('receiver', `${message.t}${to}`, deliver)) deliver();
      },
      (magic) => process.stdout.write(magic),
    );
  };
  void toReceiver().catch(() => receiver.stdin.end());
  void toAgent().catch(() => undefined);
  const [status] = await new Promise<[number | null]>((resolve) => receiver.once('close', (code) => resolve([code])));
  process.exit(status ?? 1);
}

/** The process in the qube that serves this call. */
function newestService(): number {
  const lines = readFileSync(process.env.INTERPOSE_SERVICES ?? '', 'utf8')
    .trim()
    .split('\n');
  return Number(lines.at(-1)?.split(' ')[0]);
}

async function relay(
  input: NodeJS.ReadableStream,
  banner: boolean,
  onFrame: (frame: Uint8Array, bytes: Uint8Array) => Promise<void>,
  onMagic: (magic: Uint8Array) => void,
): Promise<void> {
  let magic: MagicReader | undefined = new MagicReader(banner ? MAX_BANNER : 0);
  const frames = new FrameReader(maxFrame(MAX_CHUNK_SIZE));
  for await (const piece of input as AsyncIterable<Buffer>) {
    let rest: Uint8Array | undefined = piece;
    if (magic !== undefined) {
      rest = magic.feed(piece);
      if (rest === undefined) continue;
      magic = undefined;
      onMagic(MAGIC);
    }
    for (const frame of frames.frames(rest)) {
      const bytes = Buffer.alloc(4 + frame.length);
      bytes.writeUInt32BE(frame.length);
      bytes.set(frame, 4);
      await onFrame(bytes.subarray(4), bytes);
    }
  }
}
