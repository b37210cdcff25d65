// What a compromised backup VM may answer. Each lie is made anew for each process; `with` is what the test adds to it.

import { readFileSync } from 'node:fs';
import { encodeFrame } from '../../shared/wire/encode.ts';
import { MAGIC } from '../../shared/wire/magic.ts';
import type { AgentMessage, ReceiverMessage } from '../../shared/wire/messages.ts';
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import type { AnswerRewriter, Wire } from './answer-rewriter.ts';

/** Clears the screen, sets the title, turns the text round, and hides. */
export const ESCAPES = '\u001b[2J\u001b]0;owned\u0007\u202egnp.exe\u200b\r\n\u009b31m';

type Items = (re: number, number: number) => ReceiverMessage;

/** Answers a kind of request without end. */
function endless(kind: AgentMessage['t'], item: Items): AnswerRewriter {
  return {
    hears: async (message, wire) => {
      if (message.t !== kind || !('id' in message)) return false;
      // Each frame made anew costs more than the agent takes: many at a time.
      for (let number = 0; ;) {
        const frames: Uint8Array[] = [];
        for (let size = 0; size < 256 * 1024; number++) {
          const frame = encodeFrame(item(message.id, number));
          frames.push(frame);
          size += frame.length;
        }
        if (!(await wire.raw(Buffer.concat(frames)))) return true;
      }
    },
  };
}

/** Answers a kind of request with these. */
function instead(kind: AgentMessage['t'], answers: (re: number) => readonly ReceiverMessage[]): AnswerRewriter {
  return {
    hears: async (message, { say }) => {
      if (message.t !== kind || !('id' in message)) return false;
      for (const answer of answers(message.id)) await say(answer);
      return true;
    },
  };
}

function changing(
  kind: ReceiverMessage['t'],
  to: AgentMessage['t'],
  change: (message: never) => readonly ReceiverMessage[],
): AnswerRewriter {
  return {
    answers: async (message, request) =>
      message.t === kind && request?.t === to ? change(message as never) : undefined,
  };
}

function id(number: number): VolumeId {
  return number.toString(16).padStart(32, '0') as VolumeId;
}

/** Rising, as many as wanted. */
export function sessionAt(number: number): SessionName {
  const time = new Date(Date.UTC(1990, 0, 1) + number * 1000).toISOString();
  return `S_${time.slice(0, 10).replaceAll('-', '')}-${time.slice(11, 19).replaceAll(':', '')}` as SessionName;
}

type Of<T extends ReceiverMessage['t']> = Extract<ReceiverMessage, { t: T }>;

const KIBIBYTE_60 = Buffer.alloc(60 * 1024, 7);

export const HOSTILE_ANSWERS: Readonly<Record<string, (given: string) => AnswerRewriter>> = {
  // Without end.
  'endless volumes': () =>
    endless('get-volumes', (re, number) => ({
      ...{ t: 'volume', re, volume: id(number) },
      sessions: [{ session: sessionAt(number), storedBytes: 1, files: 1, protected: false }],
    })),
  'endless volumes without sessions': () =>
    endless('get-volumes', (re, number) => ({ t: 'volume', re, volume: id(number), sessions: [] })),
  'endless sessions': () =>
    endless('get-volumes', (re, number) => ({
      ...{ t: 'volume', re, volume: id(1) },
      sessions: Array.from({ length: 1024 }, (_, each) => ({
        session: sessionAt(number * 1024 + each),
        storedBytes: Number.MAX_SAFE_INTEGER,
        files: Number.MAX_SAFE_INTEGER,
        protected: false,
      })),
    })),
  'endless heads': () =>
    endless('get-heads', (re, number) => ({ t: 'head', re, session: sessionAt(number), data: KIBIBYTE_60 })),
  'endless catalogue': () => endless('get-catalogue', (re) => ({ t: 'data', re, data: KIBIBYTE_60 })),
  'endless catalogue of single bytes': () => endless('get-catalogue', (re) => ({ t: 'data', re, data: Buffer.of(1) })),
  'endless index of single bytes': () => endless('get-index', (re) => ({ t: 'data', re, data: Buffer.of(1) })),
  'endless page of single bytes': () => endless('get-page', (re) => ({ t: 'data', re, data: Buffer.of(1) })),
  'endless chunks': () => endless('get-chunks', (re) => ({ t: 'stored', re, address: 0, data: KIBIBYTE_60 })),
  'endless slots': () =>
    endless('get-slots', (re, number) => ({ t: 'slot', re, name: `slot-${number}`, data: KIBIBYTE_60 })),
  // As a disk that wakes up: what is asked for comes, in the end.
  'work for some seconds': () => ({
    hears: async (message, { say }) => {
      if (message.t !== 'get-volumes') return false;
      const until = performance.now() + 7500;
      for (let count = 0; performance.now() < until; count++) {
        await say({ t: 'working', re: message.id, count });
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      return false;
    },
  }),
  'endless work': () => endless('open', (re, number) => ({ t: 'working', re, count: number })),
  'endless work on a send': () =>
    endless('begin', (re, number) => (number === 0 ? { t: 'done', re } : { t: 'working', re, count: number })),
  'endless banner': () => ({
    begin: async ({ raw }) => {
      while (await raw(Buffer.from(ESCAPES.repeat(100))));
      return true;
    },
  }),
  'endless errors on the side': () => ({
    begin: async () => {
      for (let line = 0; line < 200_000; line++) process.stderr.write(`${ESCAPES}${line}\n`);
      return false;
    },
    hears: async (message, { quit }) => (message.t === 'open' ? quit(1) : false),
  }),
  'a frame of 4 GiB': () => ({
    hears: async ({ t }, { raw }) => t === 'open' && (await raw(Buffer.from('ffffffff', 'hex')), true),
  }),
  'a map of maps': () => ({
    hears: async ({ t }, { raw }) => {
      if (t !== 'open') return false;
      const map = Buffer.concat([Buffer.from('81a174', 'hex'), Buffer.alloc(100_000, 0x91), Buffer.of(0xc0)]);
      const frame = Buffer.alloc(4);
      frame.writeUInt32BE(map.length);
      return raw(Buffer.concat([frame, map]));
    },
  }),

  // Text.
  'escapes in an error': () =>
    instead('open', (re) => [{ t: 'error', re, code: 'refused', message: ESCAPES + 'x'.repeat(900) }]),
  'escapes in the release': () => ({
    answers: async (message) => (message.t === 'hello' ? [{ ...message, version: 7, release: ESCAPES }] : undefined),
  }),
  'escapes in a message of no known type': () => ({
    hears: async ({ t }, { say }) => t === 'open' && (await say({ t: `x${ESCAPES}`, re: 1 } as never), true),
  }),
  'escapes in a field': () => ({
    hears: async ({ t }, { say }) =>
      t === 'open' && (await say({ t: 'done', re: 1, [ESCAPES]: ESCAPES } as never), true),
  }),
  'escapes ahead of the magic': () => ({
    begin: async ({ raw }) => (await raw(Buffer.from(ESCAPES)), await raw(MAGIC), true),
    hears: async (message, { quit }) => (message.t === 'open' ? quit(3) : false),
  }),
  'escapes in a session’s name': () =>
    instead('get-volumes', (re) => [
      {
        t: 'volume',
        re,
        volume: id(1),
        sessions: [{ session: ESCAPES as SessionName, storedBytes: 0, files: 0, protected: false }],
      },
    ]),

  // The wrong answer.
  'another archive': () =>
    changing('opened', 'open', (message: Of<'opened'>) => [{ ...message, archiveId: id(1) as never }]),
  'another chunk size': () =>
    changing('opened', 'open', (message: Of<'opened'>) => [{ ...message, chunkSize: 4 * 2 ** 20 }]),
  'an archive in the clear': () =>
    changing('opened', 'open', (message: Of<'opened'>) => [{ ...message, encrypted: false }]),
  'no such archive': () => instead('open', (re) => [{ t: 'error', re, code: 'not-found', message: 'no such archive' }]),
  'the older catalogue': (path) =>
    instead('get-catalogue', (re) => [
      { t: 'data', re, data: readFileSync(path) },
      { t: 'done', re },
    ]),
  'no catalogue': () => instead('get-catalogue', (re) => [{ t: 'done', re }]),
  'no volumes': () => instead('get-volumes', (re) => [{ t: 'done', re }]),
  'a session of the year 9999': () => ({
    answers: async (message, request) =>
      message.t === 'done' && request?.t === 'get-volumes'
        ? [
            {
              ...{ t: 'volume', re: message.re, volume: id(0xffff) },
              sessions: [{ session: 'S_99991231-235959' as SessionName, storedBytes: 1, files: 1, protected: false }],
            },
            message,
          ]
        : undefined,
  }),
  // Of the first volume, ahead of those that there are.
  'made-up sessions': () => madeUpSessions(60),
  'made-up volumes': () => ({
    answers: async (message, request) =>
      message.t === 'done' && request?.t === 'get-volumes'
        ? [
            ...Array.from({ length: 4000 }, (_, number): ReceiverMessage => ({
              ...{ t: 'volume', re: message.re, volume: id(0xf0000 + number) },
              sessions: [{ session: sessionAt(number), storedBytes: 1, files: 1, protected: false }],
            })),
            message,
          ]
        : undefined,
  }),
  'damage everywhere': () =>
    instead('get-damage', (re) => [
      ...Array.from({ length: 64 }, (_, part): ReceiverMessage => ({
        ...{ t: 'damage', re },
        addresses: Array.from({ length: 1024 }, (_each, at) => (part * 1024 + at) * 65536),
        pages: Array.from({ length: 1024 }, (_each, at) => part * 1024 + at),
      })),
      { t: 'done', re },
    ]),
  // The head that is asked for is given, with an older one ahead of it.
  'the older head first': (given) => olderHeadFirst(given),
  'the older head in its place': (given) => {
    const [, path = ''] = given.split('|');
    return changing('head', 'get-heads', (message: Of<'head'>) => [{ ...message, data: readFileSync(path) }]);
  },
  'heads twice': () => changing('head', 'get-heads', (message: Of<'head'>) => [message, message]),
  'pages of another range': () =>
    changing('data', 'get-page', (message: Of<'data'>) => [{ ...message, data: KIBIBYTE_60.subarray(0, 100) }]),
  'chunks at other addresses': () =>
    changing('stored', 'get-chunks', (message: Of<'stored'>) => [{ ...message, address: message.address + 65536 }]),
  'chunks left out': () => changing('stored', 'get-chunks', () => []),
  'an error for each chunk': () =>
    instead('get-chunks', (re) => [{ t: 'error', re, code: 'not-found', message: 'gone' }]),
  'more after bye': () => ({
    answers: async (message, request) =>
      request?.t === 'bye' ? [message, { t: 'done', re: 're' in message ? message.re : 0 }] : undefined,
  }),
  'the greeting twice': () => ({
    answers: async (message) => (message.t === 'hello' ? [message, message] : undefined),
  }),

  // While a send is under way.
  'chunks are thrown away': () => ({ hears: async ({ t }) => t === 'chunk' }),
  'done to a commit that is not made': () =>
    swallow('commit', (wire, { id: re }) => wire.forward({ t: 'abandon', id: re, keep: false })),
  'done to a catalogue that is not put': () => swallow('put-catalogue', () => undefined, true),
  'an error to a commit that was made': () =>
    changing('done', 'commit', ({ re }: Of<'done'>) => [{ t: 'error', re, code: 'io', message: 'the disk went away' }]),
  'stale base': () => instead('begin', (re) => [{ t: 'error', re, code: 'stale-base', message: 'no' }]),
  'nothing was committed': () =>
    instead('resolve', (re) => [{ t: 'resolved', re, session: null, head: null, checkpoint: null }]),
  'an older session is the newest': (given) => {
    const [session = '', path = ''] = given.split('|');
    return instead('resolve', (re) => [
      { t: 'resolved', re, session: session as SessionName, head: readFileSync(path), checkpoint: 65536 * 1024 },
    ]);
  },
};

function madeUpSessions(thousands: number): AnswerRewriter {
  /** The request that was lied to. */
  let told = -1;
  return {
    answers: async (message, request) => {
      if (message.t !== 'volume' || request?.t !== 'get-volumes' || message.re === told) return undefined;
      told = message.re;
      const some = (part: number) =>
        Array.from({ length: 1024 }, (_, at) => ({
          ...{ session: sessionAt(part * 1024 + at), storedBytes: 1, files: 1 },
          protected: false,
        }));
      return [...Array.from({ length: thousands }, (_, part) => ({ ...message, sessions: some(part) })), message];
    },
  };
}

function olderHeadFirst(given: string): AnswerRewriter {
  const [session = '', path = ''] = given.split('|');
  return {
    answers: async (message, request) => {
      if (message.t !== 'head' || request?.t !== 'get-heads' || request.volume !== path.split('/').at(-3))
        return undefined;
      return [{ ...message, session: session as SessionName, data: readFileSync(path) }, message];
    },
  };
}

/** Says `done` to a request, and does something else. @param parts does not hand on what was staged for it either */
function swallow(
  kind: AgentMessage['t'],
  act: (wire: Wire, message: { readonly id: number }) => void,
  answered = false,
): AnswerRewriter {
  return {
    hears: async (message, wire) => {
      if (message.t !== kind || !('id' in message)) return false;
      act(wire, message);
      if (answered) await wire.say({ t: 'done', re: message.id });
      return true;
    },
  };
}
