/**
 * The pipe to a receiver: bytes both ways and how the other end's process ended. What the bytes mean is client.ts's.
 */

import type { Grant } from '../../shared/wire/messages.ts';

/** What a call is for, which over qrexec decides what the receiver lets it do. */
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
   * Hands bytes over. Resolves when the buffer may be used again, which is how back-pressure is felt;
   * never rejects: a broken pipe shows in `ended`.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Whether bytes wait to be taken off our hands, and how many were so far. */
  readonly writing: boolean;
  readonly taken: number;
  /** Starts the delivery of what the receiver sends. The bytes are valid during the call only. */
  start(onData: (bytes: Uint8Array) => void): void;
  /**
   * All was said: closes our side, gives the process a moment to end by itself, and then ends it. Nothing is delivered
   * any more, and how it ends does not matter.
   */
  leave(): Promise<void>;
  /** Ends the process at once. */
  destroy(): void;
  /** Settles once, when the process is gone and its output was delivered. */
  readonly ended: Promise<LinkEnd>;
  /** Turns an end that should not have been into a sentence with the next step. */
  explain(end: LinkEnd): { message: string; hint: string };
}
