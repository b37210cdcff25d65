// What tests of the service say over the wire: one small archive, one volume, sessions of a few chunks.

import { rmSync } from 'node:fs';
import type { AgentMessage } from '../../shared/wire/messages.ts';
import { makeScratch } from '../fixtures/scratch.ts';
import { Peer, type PeerOptions, type Request } from './peer.ts';
import { CHUNK, LAPTOP, RANGE, VOLUME, bytes, newArchive, pairingId, sessionName } from './store/small-volumes.ts';

export const CREATE: Request = {
  t: 'create',
  archive: LAPTOP,
  archiveId: newArchive().id,
  chunkSize: CHUNK,
  encrypted: true,
  dedup: false,
  slots: [...newArchive().slots],
  catalogue: newArchive().catalogue,
};

export const OPEN: Request = { t: 'open', archive: LAPTOP, lockWait: 5 };

/** The beginning of a first session of 2000 chunks. */
export function begin(change: Partial<Extract<Request, { t: 'begin' }>> = {}): Request {
  return {
    t: 'begin',
    volume: VOLUME,
    pairing: pairingId(1),
    base: null,
    session: sessionName(1),
    size: 2000 * CHUNK,
    resume: false,
    name: null,
    ...change,
  };
}

/** The messages of a first session, from its first chunk to its commit; ids are given when they are sent. */
export const SESSION: readonly (Request | Extract<AgentMessage, { t: 'chunk' | 'zeros' | 'page' | 'part' }>)[] = [
  { t: 'chunk', address: 0, data: bytes('zero') },
  { t: 'zeros', address: CHUNK, count: 1000 },
  { t: 'page', range: 0, data: bytes('page 0') },
  { t: 'checkpoint', address: RANGE },
  { t: 'chunk', address: 1500 * CHUNK, data: bytes('far') },
  { t: 'page', range: 1, data: bytes('page 1') },
  { t: 'part', data: bytes('index ') },
  { t: 'part', data: bytes('1') },
  { t: 'commit', head: bytes('head 1') },
];

export interface Receivers {
  readonly root: string;
  /** Starts one more; all are gone at the end. */
  readonly start: (options?: Partial<PeerOptions>) => Peer;
}

/** Gives `use` a folder for archives and a way to start receivers on it. */
export async function withReceivers<T>(
  use: (receivers: Receivers) => Promise<T>,
  root = makeScratch('receiver'),
): Promise<T> {
  const peers: Peer[] = [];
  try {
    const start = (options: Partial<PeerOptions> = {}) => {
      const peer = new Peer({ ...options, args: ['serve', '--root', root, ...(options.args ?? [])] });
      peers.push(peer);
      return peer;
    };
    return await use({ root, start });
  } finally {
    for (const peer of peers) await peer.kill();
    rmSync(root, { recursive: true, force: true });
  }
}

/** Greets, creates the archive if it is not there, and opens it. */
export async function open(peer: Peer): Promise<Peer> {
  await peer.greet();
  await peer.done(CREATE);
  await peer.done(OPEN);
  return peer;
}

/** Says one message of `SESSION`; a request is waited for. */
export async function say(peer: Peer, message: (typeof SESSION)[number]): Promise<void> {
  if (isRequest(message)) await peer.done(message);
  else await peer.push(message);
}

export function isRequest(message: (typeof SESSION)[number]): message is Request {
  return !['chunk', 'zeros', 'page', 'part'].includes(message.t);
}

/** The first session, whole. */
export async function sendFirst(peer: Peer): Promise<void> {
  await peer.done(begin());
  for (const message of SESSION) await say(peer, message);
}

/** The sessions of the volume, as a new connection sees them. */
export async function sessionsSeen(receivers: Receivers): Promise<string[]> {
  const peer = await open(receivers.start());
  const { items } = await peer.done({ t: 'get-heads', volume: VOLUME, sessions: [] });
  await peer.bye();
  return items.flatMap((item) => (item.t === 'head' ? [item.session] : []));
}
