/**
 * The limits of each request: how long the agent waits for its answer, and how large the answer may be. Otherwise a
 * receiver that keeps reporting that it works, or sends a little now and then, could hold a connection, and the
 * archive's lock, for ever. docs/protocol.md has the table (section 2, "Deadlines").
 */
import { MAX_DAMAGE, MAX_LISTED_SESSIONS, MAX_SHORT_PARTS, MAX_STAGED, PART_SIZE } from '../../shared/wire/limits.ts';
import type { AgentRequest } from '../../shared/wire/messages.ts';

type Kind = AgentRequest['t'];

/** Times in milliseconds. */
export interface Allowance {
  /** The receiver's task, as in "waiting for … to …". */
  readonly task: string;
  /** Time without progress, over the whole connection, after which this request is given up. */
  readonly wait: number;
  /** How much spent time is credited when the request is answered. */
  readonly answered: number;
  /** The same for each byte of the answer. */
  readonly perByte: number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** Bytes per second for content, which is proven on arrival: it may come over a slow line. */
const CONTENT_RATE = 4 * 1024;
/** Bytes per second for unproven or small answers. */
const LIST_RATE = 16 * 1024;

function allowance(task: string, minutes: number, answeredSeconds: number, bytesPerSecond = LIST_RATE): Allowance {
  const perByte = SECOND / bytesPerSecond;
  return { task, wait: minutes * MINUTE, answered: answeredSeconds * SECOND, perByte };
}

const ALLOWANCES: Readonly<Record<Kind, Allowance>> = {
  // An interrupted prune is finished first.
  open: allowance('open the archive', 30, 10),
  create: allowance('create the archive', 10, 30),
  'get-slots': allowance('give the key slots', 10, 10),
  'get-catalogue': allowance('give the catalogue', 10, 10),
  'get-volumes': allowance('list the volumes', 30, 10),
  'get-heads': allowance('give the heads of sessions', 10, 10),
  'get-index': allowance('give an index', 10, 10),
  'get-page': allowance('give a page', 10, 10, CONTENT_RATE),
  'get-chunks': allowance('give chunks', 10, 10, CONTENT_RATE),
  'get-freed': allowance('estimate what a prune would free', 30, 10),
  'get-space': allowance('report the space left', 10, 10),
  'get-damage': allowance('report damage', 30, 10),
  'put-slot': allowance('store a key slot', 10, 30),
  'drop-slot': allowance('remove a key slot', 10, 30),
  'put-catalogue': allowance('store the catalogue', 10, 30),
  protect: allowance('protect a session', 10, 30),
  rename: allowance('rename a volume', 10, 30),
  'mend-chunk': allowance('repair a chunk', 10, 30),
  'mend-page': allowance('repair a page', 10, 30),
  // Millions of files may have to be removed, or made durable.
  prune: allowance('prune a session', 120, 600),
  delete: allowance('delete a volume', 120, 600),
  resolve: allowance('settle an unfinished send', 30, 30),
  begin: allowance('begin a send', 30, 30),
  checkpoint: allowance('make a checkpoint durable', 60, 60),
  commit: allowance('make the session durable', 60, 60),
  abandon: allowance('end a send', 30, 30),
  bye: allowance('end the connection', 1, 1),
};

export function allowanceOf(kind: Kind): Allowance {
  return ALLOWANCES[kind];
}

/** Applies while bytes are sent and no answer is due. */
export const TAKING = allowance('accept the data', 10, 0, CONTENT_RATE);

/**
 * Milliseconds that the receiver may take for one chunk of a zero run: it creates a file if an older session has data.
 */
export const PER_ZERO_CHUNK = 2;

/** Requests that may wait for another process's lock. */
const LOCKING: ReadonlySet<Kind> = new Set(['open', 'resolve', 'begin', 'commit', 'abandon', 'prune', 'delete']);

export function waitsForLock(kind: Kind): boolean {
  return LOCKING.has(kind);
}

/** The most items and bytes of one answer. */
export interface AnswerCap {
  readonly items: number;
  readonly bytes: number;
}

const NONE: AnswerCap = { items: 0, bytes: 0 };
/** A long object in pieces. A damaged one may be longer than any that was put, and is received to its end. */
const OBJECT: AnswerCap = { items: (2 * MAX_STAGED) / PART_SIZE + MAX_SHORT_PARTS, bytes: 2 * MAX_STAGED + 2 ** 20 };
/** Bytes of one listed session: its name, three numbers, field names, and its share of the message. */
const LISTED_BYTES = 160;
/** Heads have some 500 bytes, and at most 8 KiB. */
const HEADS_BYTES = 64 * 2 ** 20;

/** @param frame bytes of the longest message */
export function answerCap(asked: AgentRequest, frame: number): AnswerCap {
  switch (asked.t) {
    case 'get-slots':
      return { items: 256, bytes: 2 ** 20 };
    case 'get-catalogue':
    case 'get-index':
    case 'get-page':
      return OBJECT;
    case 'get-volumes':
      return { items: MAX_LISTED_SESSIONS, bytes: MAX_LISTED_SESSIONS * LISTED_BYTES };
    case 'get-heads':
      return { items: asked.sessions.length === 0 ? MAX_LISTED_SESSIONS : asked.sessions.length, bytes: HEADS_BYTES };
    case 'get-chunks':
      return { items: asked.addresses.length, bytes: asked.addresses.length * frame };
    case 'get-damage':
      return { items: 2 * MAX_DAMAGE, bytes: MAX_DAMAGE * 64 };
    default:
      return NONE;
  }
}
