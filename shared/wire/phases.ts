/**
 * Which side may send which message when, and its answers: the tables of docs/protocol.md, sections 2, 3 and 5, as
 * data, with a row for each of the agent's messages. The receiver enforces them on the agent's messages, the agent on
 * the answers.
 */
import type { Grant } from './grants.ts';
import type { AgentMessage, AgentRequest, ReceiverMessage } from './messages.ts';

type Kind = AgentMessage['t'];
type Answer = ReceiverMessage['t'];

/**
 * `greeting` until both `hello`s are there; `closed` until an archive is `opened`; `open`; `sending` from the `done` to
 * `begin` to the `done` to `commit` or `abandon`.
 */
export type Phase = 'greeting' | 'closed' | 'open' | 'sending';

/** The grants that allow a message; `all` allows every one. */
type Grants = readonly Exclude<Grant, 'all'>[];

interface Row {
  readonly phases: readonly Phase[];
  readonly grants: Grants;
  /** Who answers it in the receiver: `read` only reads, `change` is one step of the store. */
  readonly handler?: 'read' | 'change';
  /** Exactly one of these, or `error`, closes the request. Absent: it is no request and has no answer. */
  readonly closing?: readonly Answer[];
  /** Any number of these may come before the closing answer. So may `working`, for every request. */
  readonly items?: readonly Answer[];
}

const ANYONE = ['receive', 'retrieve', 'maintain'] as const;
const SENDER = ['receive'] as const;
const MAINTAINER = ['maintain'] as const;

const MESSAGES = {
  hello: { phases: ['greeting'], grants: ANYONE },
  alive: { phases: ['closed', 'open', 'sending'], grants: ANYONE },
  bye: { phases: ['closed', 'open'], grants: ANYONE, closing: ['done'] },
  create: { phases: ['closed'], grants: SENDER, closing: ['done'] },
  open: { phases: ['closed'], grants: ANYONE, closing: ['opened'] },

  'get-slots': { phases: ['open'], grants: ANYONE, handler: 'read', closing: ['done'], items: ['slot', 'lost'] },
  'get-catalogue': { phases: ['open'], grants: ANYONE, handler: 'read', closing: ['done', 'absent'], items: ['data'] },
  'get-volumes': { phases: ['open'], grants: ANYONE, handler: 'read', closing: ['done'], items: ['volume', 'lost'] },
  'get-heads': { phases: ['open'], grants: ANYONE, handler: 'read', closing: ['done'], items: ['head', 'lost'] },
  'get-index': {
    phases: ['open', 'sending'],
    grants: ANYONE,
    handler: 'read',
    closing: ['done', 'absent'],
    items: ['data'],
  },
  'get-page': {
    phases: ['open', 'sending'],
    grants: ANYONE,
    handler: 'read',
    closing: ['done', 'absent'],
    items: ['data'],
  },
  'get-chunks': { phases: ['open'], grants: ANYONE, handler: 'read', closing: ['done'], items: ['stored'] },
  'get-freed': { phases: ['open'], grants: ANYONE, handler: 'read', closing: ['freed', 'absent'] },
  'get-space': { phases: ['open'], grants: ANYONE, handler: 'read', closing: ['space'] },
  'get-damage': { phases: ['open'], grants: ANYONE, handler: 'read', closing: ['done', 'absent'], items: ['damage'] },

  prune: { phases: ['open'], grants: MAINTAINER, handler: 'change', closing: ['freed', 'absent'] },
  protect: { phases: ['open'], grants: MAINTAINER, handler: 'change', closing: ['done', 'absent'] },
  rename: { phases: ['open'], grants: MAINTAINER, handler: 'change', closing: ['done', 'absent'] },
  delete: { phases: ['open'], grants: MAINTAINER, handler: 'change', closing: ['freed'] },
  'mend-chunk': { phases: ['open'], grants: SENDER, handler: 'change', closing: ['done', 'absent'] },
  'mend-page': { phases: ['open'], grants: SENDER, handler: 'change', closing: ['done', 'absent'] },
  'put-slot': { phases: ['open'], grants: ['receive', 'maintain'], closing: ['done'] },
  'drop-slot': { phases: ['open'], grants: MAINTAINER, closing: ['done'] },
  'put-catalogue': { phases: ['open'], grants: SENDER, closing: ['done'] },

  resolve: { phases: ['open'], grants: SENDER, closing: ['resolved'] },
  begin: { phases: ['open'], grants: SENDER, closing: ['done'] },
  part: { phases: ['open', 'sending'], grants: SENDER },
  chunk: { phases: ['sending'], grants: SENDER },
  zeros: { phases: ['sending'], grants: SENDER },
  page: { phases: ['sending'], grants: SENDER },
  checkpoint: { phases: ['sending'], grants: SENDER, closing: ['done'] },
  commit: { phases: ['sending'], grants: SENDER, closing: ['done'] },
  abandon: { phases: ['sending'], grants: SENDER, closing: ['done'] },
} as const satisfies Record<Kind, Row> & Record<AgentRequest['t'], { readonly closing: readonly Answer[] }>;

type Table = typeof MESSAGES;

/** The requests that a part of the receiver answers. */
export type HandledBy<H extends 'read' | 'change'> = Extract<
  AgentRequest,
  { t: { [K in Kind]: Table[K] extends { readonly handler: H } ? K : never }[Kind] }
>;

const ROWS = Object.entries(MESSAGES) as [Kind, Row][];

function kindsWhere(holds: (row: Row) => boolean): ReadonlySet<Kind> {
  return new Set(ROWS.filter(([, row]) => holds(row)).map(([kind]) => kind));
}

export function isHandledBy<H extends 'read' | 'change'>(handler: H, message: AgentMessage): message is HandledBy<H> {
  return (MESSAGES[message.t] as Row).handler === handler;
}

/** The agent's messages by the phase that they are legal in. */
export const LEGAL: Readonly<Record<Phase, ReadonlySet<Kind>>> = {
  greeting: kindsWhere(({ phases }) => phases.includes('greeting')),
  closed: kindsWhere(({ phases }) => phases.includes('closed')),
  open: kindsWhere(({ phases }) => phases.includes('open')),
  sending: kindsWhere(({ phases }) => phases.includes('sending')),
};

/** The agent's messages by the grant that allows them. */
export const GRANTED: Readonly<Record<Grant, ReadonlySet<Kind>>> = {
  retrieve: kindsWhere(({ grants }) => grants.includes('retrieve')),
  receive: kindsWhere(({ grants }) => grants.includes('receive')),
  maintain: kindsWhere(({ grants }) => grants.includes('maintain')),
  all: kindsWhere(() => true),
};

export interface Answers {
  /** Any number of these may come before the closing answer. So may `working`, for every request. */
  readonly items: ReadonlySet<Answer>;
  /** Exactly one of these closes the request. */
  readonly closing: ReadonlySet<Answer>;
}

/** The answers that each request may have. */
export const ANSWERS = Object.fromEntries(
  ROWS.flatMap(([kind, { closing, items = [] }]) =>
    closing === undefined ? [] : [[kind, { items: new Set(items), closing: new Set<Answer>([...closing, 'error']) }]],
  ),
) as unknown as Readonly<Record<AgentRequest['t'], Answers>>;
