/**
 * One volume on its way to the receiver: begun at the first data, with checkpoints on the way, then committed or
 * abandoned. Failures that the receiver reports in between are thrown by the next call.
 */
import type { PairingId, SessionName, VolumeId } from '../../shared/archive/names.ts';
import type { SparsebakError } from '../../shared/errors.ts';
import type { ReceiverClient } from '../link/client.ts';

/** What the agent needs to resume after a checkpoint. */
export interface CheckpointState {
  /** The hashes of all pages below it. */
  readonly hashes: Uint8Array;
  readonly changedBytes: number;
}

export interface OutgoingOptions {
  readonly volume: VolumeId;
  readonly pairing: PairingId;
  readonly base: SessionName | null;
  readonly session: SessionName;
  /** Bytes. */
  readonly size: number;
  /** Only in a plain archive. */
  readonly name: string | null;
  /** Resumes at the receiver's checkpoint. */
  readonly resume: boolean;
  /** Makes the state durable in dom0; the receiver is then asked for a checkpoint at this address. */
  readonly keepCheckpoint: (address: number, state: CheckpointState) => Promise<void>;
}

/**
 * Sent bytes between two checkpoints. An interruption costs at most this much; each checkpoint costs the receiver one
 * sync.
 */
const CHECKPOINT_BYTES = 256 * 2 ** 20;

export class Outgoing {
  readonly #client: ReceiverClient;
  readonly #options: OutgoingOptions;
  #begun = false;
  #failure: SparsebakError | undefined;
  #sinceCheckpoint = 0;
  #checkpoint: Promise<void> = Promise.resolve();
  /** Bytes handed to the link for this volume. */
  sentBytes = 0;

  constructor(client: ReceiverClient, options: OutgoingOptions) {
    this.#client = client;
    this.#options = options;
  }

  get begun(): boolean {
    return this.#begun;
  }

  async frames(bytes: Uint8Array): Promise<void> {
    await this.ready();
    this.#count(bytes.length);
    await this.#client.sendFrames(bytes);
  }

  async zeros(address: number, count: number): Promise<void> {
    await this.ready();
    this.#count(32);
    await this.#client.send({ t: 'zeros', address, count });
  }

  async page(range: number, stored: Uint8Array): Promise<void> {
    await this.ready();
    this.#count(stored.length + 32);
    await this.#client.send({ t: 'page', range, data: stored });
  }

  /**
   * Requests a checkpoint if enough was sent since the last one, without waiting for the answer. The state is saved
   * before the request, so that dom0 knows the receiver's checkpoint whichever answer is lost.
   */
  async checkpointIfDue(address: number, state: () => CheckpointState): Promise<void> {
    if (this.#sinceCheckpoint < CHECKPOINT_BYTES) return;
    this.#sinceCheckpoint = 0;
    await this.#options.keepCheckpoint(address, state());
    const answered = this.#client.request({ t: 'checkpoint', address });
    this.#checkpoint = Promise.all([this.#checkpoint, answered]).then(() => undefined);
    // Its failure is the send's failure, which the next call reports.
    this.#checkpoint.catch(() => undefined);
  }

  async commit(index: Uint8Array, head: Uint8Array): Promise<void> {
    await this.ready();
    await this.#checkpoint;
    await this.#client.sendParts(index);
    this.#count(index.length + head.length);
    await this.#client.request({ t: 'commit', head });
    this.#end();
  }

  /** Ends the send without a session. @param keep keeps everything below the checkpoint, for resuming */
  async abandon(keep: boolean): Promise<void> {
    this.#end();
    if (!this.#begun || this.#client.failure !== undefined) return;
    await this.#client.request({ t: 'abandon', keep });
  }

  /** Begins the send, unless it was begun. */
  async ready(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#begun) return;
    const { volume, pairing, base, session, size, name, resume } = this.#options;
    this.#client.onSendFailed = (error) => {
      this.#failure = error;
    };
    await this.#client.request({ t: 'begin', volume, pairing, base, session, size, name, resume });
    this.#begun = true;
  }

  #end(): void {
    this.#client.onSendFailed = undefined;
  }

  #count(bytes: number): void {
    this.sentBytes += bytes;
    this.#sinceCheckpoint += bytes;
  }
}
