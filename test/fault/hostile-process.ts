// A receiver that lies: started by the agent in ssh's place, with a real receiver behind it. It reads every message
// both ways; what it does with them is one of hostile-answers.ts, named by the environment.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { decodeAgentMessage, decodeReceiverMessage } from '../../shared/wire/message-codec.ts';
import { encodeFrame } from '../../shared/wire/encode.ts';
import { FrameReader, maxFrame } from '../../shared/wire/frame.ts';
import { MAGIC, MAX_BANNER, MagicReader } from '../../shared/wire/magic.ts';
import { MAX_CHUNK_SIZE } from '../../shared/archive/address.ts';
import { RECEIVER } from '../scenario/program.ts';
import type { AnswerRewriter, Request, Wire } from './answer-rewriter.ts';
import { HOSTILE_ANSWERS } from './hostile-answers.ts';

await lie(HOSTILE_ANSWERS[process.env.LIE ?? '']!(process.env.LIE_WITH ?? ''));

async function lie({ begin, hears, answers }: AnswerRewriter): Promise<void> {
  const receiver = spawn(process.execPath, [RECEIVER, 'serve', '--root', process.env.LIE_ROOT ?? ''], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  receiver.stdin.on('error', () => undefined);
  process.stdout.on('error', () => {
    receiver.kill('SIGKILL');
    process.exit(1);
  });
  const requests = new Map<number, Request>();
  const raw = async (bytes: Uint8Array): Promise<boolean> => {
    if (!process.stdout.write(bytes)) await once(process.stdout, 'drain');
    return !process.stdout.destroyed;
  };
  const wire: Wire = {
    raw,
    say: (message) => raw(encodeFrame(message)),
    forward: (message) => void receiver.stdin.write(encodeFrame(message)),
    quit: (status) => {
      receiver.kill('SIGKILL');
      process.exit(status);
    },
  };
  const fromAgent = relay(process.stdin, 0, async (frame) => {
    const message = decodeAgentMessage(frame);
    if ('id' in message) requests.set(message.id, message);
    if ((await hears?.(message, wire)) !== true) wire.forward(message);
  });
  const fromReceiver = relay(receiver.stdout, MAX_BANNER, async (frame) => {
    const message = decodeReceiverMessage(frame);
    const request = 're' in message ? requests.get(message.re) : undefined;
    const instead = await answers?.(message, request, wire);
    if (instead === undefined) await wire.say(message);
    else for (const each of instead) await wire.say(each);
  });
  receiver.stdin.write(MAGIC);
  if ((await begin?.(wire)) !== true) await raw(MAGIC);
  void fromAgent.finally(() => receiver.stdin.end());
  const [status] = (await once(receiver, 'close')) as [number | null];
  await fromReceiver;
  process.exit(status ?? 1);
}

async function relay(
  input: NodeJS.ReadableStream,
  banner: number,
  onFrame: (frame: Uint8Array) => Promise<void>,
): Promise<void> {
  let magic: MagicReader | undefined = new MagicReader(banner);
  const frames = new FrameReader(maxFrame(MAX_CHUNK_SIZE));
  for await (const piece of input as AsyncIterable<Buffer>) {
    let rest: Uint8Array | undefined = piece;
    if (magic !== undefined) {
      rest = magic.feed(piece);
      if (rest === undefined) continue;
      magic = undefined;
    }
    for (const frame of frames.frames(rest)) await onFrame(frame);
  }
}
