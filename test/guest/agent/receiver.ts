// In the place of receiver-process.ts: the receiver of a `local:` destination, in the agent's own process.

import { pino } from 'pino';
import type { Link, LinkEnd } from '../../../dom0-agent/link/link.ts';
import type { ProcessLinkOptions } from '../../../dom0-agent/process/receiver-process.ts';
import { asSparsebakError } from '../../../shared/errors.ts';
import { RELEASE } from '../../../shared/release.ts';
import { openStore } from '../../../vm-receiver/cli/open-store.ts';
import { loadSettings } from '../../../vm-receiver/cli/settings.ts';
import { Conversation } from '../../../vm-receiver/service/conversation.ts';
import type { Input } from '../../../vm-receiver/service/byte-input.ts';
import { serve } from '../../../vm-receiver/service/serve.ts';
import { TIMING } from '../../../vm-receiver/service/timing.ts';

/** What the agent writes; each piece is taken once the one before was worked on. */
class Inward implements Input {
  readonly #gone = new AbortController();
  readonly #pieces: { readonly bytes: Uint8Array; readonly taken: () => void }[] = [];
  #wake: () => void = () => undefined;

  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  get waiting(): boolean {
    return this.#pieces.length > 0;
  }

  put(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      if (this.gone.aborted) resolve();
      else this.#pieces.push({ bytes, taken: resolve });
      this.#wake();
    });
  }

  async next(): Promise<Uint8Array | undefined> {
    while (this.#pieces.length === 0 && !this.gone.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const piece = this.#pieces.shift();
    // The agent may use its buffer again.
    const bytes = piece === undefined ? undefined : Uint8Array.from(piece.bytes);
    piece?.taken();
    return bytes;
  }

  close(): void {
    this.#gone.abort();
    for (const { taken } of this.#pieces.splice(0)) taken();
    this.#wake();
  }

  end(): void {
    this.#gone.abort();
    this.#wake();
  }
}

export function openProcessLink({ name, args, explain }: ProcessLinkOptions): Promise<Link> {
  const input = new Inward();
  let taken = 0;
  let deliver: (onData: (bytes: Uint8Array) => void) => void = () => undefined;
  const started = new Promise<(bytes: Uint8Array) => void>((resolve) => (deliver = resolve));
  const output = {
    busy: false,
    send: async (bytes: Uint8Array): Promise<void> => (await started)(Uint8Array.from(bytes)),
    close: () => undefined,
  };
  const log = pino({ level: 'warn' }, pino.destination({ dest: 2, sync: true }));
  const conversation = new Conversation(input, output, 'all', TIMING, log);
  const settings = loadSettings({ root: args.at(-1), archive: undefined, config: undefined });
  const service = { store: openStore(settings), release: RELEASE, refusal: undefined, refuse: () => undefined };
  const ended = serve(conversation, service)
    .then(
      () => ({ status: 0, stderr: '' }),
      (error: unknown) => {
        const { exitStatus: status, message: stderr } = asSparsebakError(error);
        return { status, stderr };
      },
    )
    .then((end): LinkEnd => {
      input.close();
      return { ...end, signal: null };
    });
  return Promise.resolve({
    name,
    write: async (bytes) => {
      await input.put(bytes);
      taken += bytes.length;
    },
    get writing() {
      return input.waiting;
    },
    get taken() {
      return taken;
    },
    start: (onData) => {
      deliver(onData);
    },
    leave: async () => {
      input.end();
      await ended;
    },
    destroy: () => {
      input.close();
    },
    ended,
    explain,
  });
}
