/**
 * One archive at a receiver: its heads by volume, and the send under way. It never loses power, but the answer may get
 * lost.
 */
import { randomBytes } from 'node:crypto';
import {
  nextSessionName,
  type ArchiveId,
  type PairingId,
  type SessionName,
  type VolumeId,
} from '../../../../shared/archive/names.ts';
import type { Base } from '../../../../dom0-agent/capture/pairing.ts';

export interface Head {
  readonly pairing: PairingId;
  readonly session: SessionName;
  readonly size: number;
  /** Each chunk's content. */
  readonly chunks: readonly string[];
}

interface Unfinished {
  readonly pairing: PairingId;
  /** Chunks below the last checkpoint. */
  readonly chunks: readonly string[];
  readonly address: number;
}

export function newId(): string {
  return randomBytes(16).toString('hex');
}

export class ModelReceiver {
  readonly archive = newId() as ArchiveId;
  readonly chunkSize: number;
  readonly #volumes = new Map<string, { id: VolumeId; heads: Head[]; newest: SessionName | undefined }>();
  readonly #unfinished = new Map<string, Unfinished>();
  readonly #committed = new Set<PairingId>();
  sequence = 0;

  constructor(chunkSize: number) {
    this.chunkSize = chunkSize;
  }

  idOf(volume: string): VolumeId {
    return this.#of(volume).id;
  }

  newest(volume: string): Head | undefined {
    return this.#of(volume).heads.at(-1);
  }

  base(volume: string): Base | null {
    const head = this.newest(volume);
    return head === undefined ? null : { pairing: head.pairing, session: head.session, head: '0'.repeat(64) };
  }

  nextSession(volume: string): SessionName {
    return nextSessionName(0, this.#of(volume).newest);
  }

  checkpoint(volume: string, unfinished: Unfinished): void {
    this.#unfinished.set(volume, unfinished);
  }

  /** The send with this id and a checkpoint; any other is dropped. */
  resolve(volume: string, pairing: PairingId): Unfinished | undefined {
    const unfinished = this.#unfinished.get(volume);
    if (unfinished?.pairing === pairing) return unfinished;
    this.#unfinished.delete(volume);
    return undefined;
  }

  commit(volume: string, head: Head): void {
    const known = this.#of(volume);
    known.heads.push(head);
    known.newest = head.session;
    this.#committed.add(head.pairing);
    this.#unfinished.delete(volume);
  }

  /** Whether a head with this pairing id was ever committed, rolled back since or not. */
  everHad(pairing: PairingId): boolean {
    return this.#committed.has(pairing);
  }

  /** The VM was rolled back: its newest head is the one before. */
  rollBack(volume: string): boolean {
    return this.#of(volume).heads.pop() !== undefined;
  }

  #of(volume: string) {
    let known = this.#volumes.get(volume);
    if (known === undefined) {
      known = { id: newId() as VolumeId, heads: [], newest: undefined };
      this.#volumes.set(volume, known);
    }
    return known;
  }
}
