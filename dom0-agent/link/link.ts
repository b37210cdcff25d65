/** The pipe to a receiver: bytes both ways, and how the receiver's process ended. client.ts interprets the bytes. */

import type { Grant } from '../../shared/wire/grants.ts';

/** The purpose of a connection, which over qrexec decides what the receiver allows. */
export type Purpose = Exclude<Grant, 'all'>;

/** How the receiver's process ended. */
export interface LinkEnd {
  /** Exit status; null when a signal ended it. */
  readonly status: number | null;
  readonly signal: string | null;
  /** The last lines that it wrote to stderr, escaped and on one line. */
  readonly stderr: string;
  /** Why it could not be started at all. */
  readonly startError?: unknown;
}

export interface Link {
  /** The destination, as the user wrote it. */
  readonly name: string;
  /**
   * Writes bytes. Resolves when the buffer may be used again, which is the back-pressure; never rejects: a broken pipe
   * shows in `ended`.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Whether bytes wait to be accepted, and how many were accepted so far. */
  readonly writing: boolean;
  readonly taken: number;
  /** Starts to deliver the receiver's bytes. They are valid during the call of `onData` only. */
  start(onData: (bytes: Uint8Array) => void): void;
  /**
   * To be called at the end of the conversation: closes our side, gives the process a moment to end by itself, and then
   * ends it. Nothing more is delivered, and it does not matter how the process ends.
   */
  leave(): Promise<void>;
  /** Ends the process at once. */
  destroy(): void;
  /** Settles once, when the process has ended and its output was delivered. */
  readonly ended: Promise<LinkEnd>;
  /** Describes an unexpected end, with a hint. */
  explain(end: LinkEnd): { message: string; hint: string };
}
