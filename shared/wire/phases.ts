/**
 * What may be said when, and by whom: the tables of docs/protocol.md, sections 2, 3 and 5, as data. The receiver
 * enforces them on the agent's messages, the agent on the answers.
 */
import type { AgentMessage, AgentRequest, Grant, ReceiverMessage } from './messages.ts';

type Said = AgentMessage['t'];
type Answer = ReceiverMessage['t'];

/**
 * `greeting` until both `hello`s are there; `closed` until an archive is `opened`; `open`; `sending` from the `done` to
 * `begin` to the `done` to `commit` or `abandon`.
 */
export type Phase = 'greeting' | 'closed' | 'open' | 'sending';

const reading = [
  'get-slots',
  'get-catalogue',
  'get-volumes',
  'get-heads',
  'get-index',
  'get-page',
  'get-chunks',
  'get-freed',
  'get-space',
  'get-damage',
] as const;

const maintaining = ['prune', 'protect', 'rename', 'delete'] as const;

/** The agent's messages by the phase that they are legal in. */
export const LEGAL: Readonly<Record<Phase, ReadonlySet<Said>>> = {
  greeting: new Set<Said>(['hello']),
  closed: new Set<Said>(['create', 'open', 'alive', 'bye']),
  open: new Set<Said>([
    ...reading,
    ...maintaining,
    'put-slot',
    'drop-slot',
    'put-catalogue',
    'mend-chunk',
    'mend-page',
    'resolve',
    'begin',
    'part',
    'alive',
    'bye',
  ]),
  sending: new Set<Said>([
    'chunk',
    'zeros',
    'page',
    'checkpoint',
    'part',
    'commit',
    'abandon',
    'get-page',
    'get-index',
    'alive',
  ]),
};

const retrieve: readonly Said[] = ['hello', 'open', ...reading, 'alive', 'bye'];
const receive: readonly Said[] = [
  ...retrieve,
  'create',
  'put-slot',
  'put-catalogue',
  'mend-chunk',
  'mend-page',
  'resolve',
  'begin',
  'chunk',
  'zeros',
  'page',
  'checkpoint',
  'part',
  'commit',
  'abandon',
];

/** The agent's messages by the grant that allows them. */
export const GRANTED: Readonly<Record<Grant, ReadonlySet<Said>>> = {
  retrieve: new Set(retrieve),
  receive: new Set(receive),
  maintain: new Set([...retrieve, ...maintaining, 'put-slot', 'drop-slot']),
  all: new Set([...receive, ...maintaining, 'drop-slot']),
};

export interface Answers {
  /** May come any number of times ahead of the closing answer. `working` may too, to every request. */
  readonly items: ReadonlySet<Answer>;
  /** Exactly one of these closes the request. */
  readonly closing: ReadonlySet<Answer>;
}

function answers(closing: readonly Answer[], items: readonly Answer[] = []): Answers {
  return { items: new Set(items), closing: new Set<Answer>([...closing, 'error']) };
}

/** The answers that each request may have. */
export const ANSWERS: Readonly<Record<AgentRequest['t'], Answers>> = {
  create: answers(['done']),
  open: answers(['opened']),
  'get-slots': answers(['done'], ['slot', 'lost']),
  'put-slot': answers(['done']),
  'drop-slot': answers(['done']),
  'get-catalogue': answers(['done', 'absent'], ['data']),
  'put-catalogue': answers(['done']),
  'get-volumes': answers(['done'], ['volume', 'lost']),
  'get-heads': answers(['done'], ['head', 'lost']),
  'get-index': answers(['done', 'absent'], ['data']),
  'get-page': answers(['done', 'absent'], ['data']),
  'get-chunks': answers(['done'], ['stored']),
  'get-freed': answers(['freed', 'absent']),
  'get-space': answers(['space']),
  'get-damage': answers(['done', 'absent'], ['damage']),
  prune: answers(['freed', 'absent']),
  protect: answers(['done', 'absent']),
  rename: answers(['done', 'absent']),
  delete: answers(['freed']),
  'mend-chunk': answers(['done', 'absent']),
  'mend-page': answers(['done', 'absent']),
  resolve: answers(['resolved']),
  begin: answers(['done']),
  checkpoint: answers(['done']),
  commit: answers(['done']),
  abandon: answers(['done']),
  bye: answers(['done']),
};
