// What a lying receiver can do with each message that goes by.

import type { AgentMessage, AgentRequest, ReceiverMessage } from '../../shared/wire/messages.ts';

export type Request = AgentRequest;

export interface Wire {
  /** To the agent; waits until it is taken. False when nobody listens any more. */
  readonly say: (message: ReceiverMessage) => Promise<boolean>;
  readonly raw: (bytes: Uint8Array) => Promise<boolean>;
  /** To the receiver that stands behind. */
  readonly forward: (message: AgentMessage) => void;
  /** Ends at once, as a process does. */
  readonly quit: (status: number) => never;
}

export interface AnswerRewriter {
  /** Ahead of all; in place of the magic if it answers true. */
  readonly begin?: (wire: Wire) => Promise<boolean>;
  /** In place of handing the message on, if it answers true. */
  readonly hears?: (message: AgentMessage, wire: Wire) => Promise<boolean>;
  /** What the agent gets in place of an answer; undefined: the answer itself. */
  readonly answers?: (
    message: ReceiverMessage,
    request: Request | undefined,
    wire: Wire,
  ) => Promise<readonly ReceiverMessage[] | undefined>;
}
