/** The context of one send, and the request for one volume. */
import type { Logger } from 'pino';
import type { ArchiveId } from '../../shared/archive/names.ts';
import type { Resumption } from '../capture/resumption.ts';
import type { DeltaMap } from '../capture/delta-map.ts';
import type { Pending } from '../capture/pairing.ts';
import type { RollingState } from '../capture/sample.ts';
import type { Pool } from '../capture/pools.ts';
import type { Pace } from '../../shared/pace.ts';
import type { OnWait } from '../link/call-watch.ts';
import type { Hooks } from '../runs/hooks.ts';
import type { WorkerGroup } from '../pipeline/worker-group.ts';
import type { SnapshotRef } from '../source/source.ts';
import type { OpenArchive } from '../proven-archive/open-archive.ts';
import type { ProvenSession } from '../proven-archive/proven-reader.ts';
import type { RepairBudget } from './repair-budget.ts';

/** What a send has from the command that runs it. */
export interface SendHost {
  /** Whether a send to an archive is under way, this one included. */
  readonly isSending: (archive: ArchiveId) => Promise<boolean>;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly progress: SendProgress;
  readonly onWait: OnWait;
  readonly hooks: Pick<Hooks, 'around'>;
  /** Limits the bytes read from volumes, as an average. */
  readonly pace: Pace;
}

/** What is common to all volumes of a send. */
export interface SendContext {
  readonly archive: OpenArchive;
  readonly workers: WorkerGroup;
  readonly signal: AbortSignal;
  readonly log: Logger;
  readonly tags: readonly string[];
  /** Bytes per volume and day of the rolling re-read. */
  readonly rereadPerDay: number;
  readonly progress: SendProgress;
  readonly pace: Pace;
  readonly repairs: RepairBudget;
}

/** The progress of the whole send, in bytes read. */
export interface SendProgress {
  /** Announces a volume; `bytes` as far as is known. */
  expect(volume: string, bytes: number): void;
  start(volume: string, bytes: number): void;
  add(bytes: number): void;
  /** Bytes of the volume that are holes and need not be read. */
  skip(bytes: number): void;
  finish(): void;
}

export interface StreamRequest {
  readonly pool: Pool;
  readonly name: string;
  readonly pending: Pick<Pending, 'archive' | 'pairing' | 'volumeId' | 'name' | 'session' | 'sequence' | 'time'>;
  readonly tock: SnapshotRef;
  readonly base: ProvenSession | undefined;
  /** undefined: everything is read. */
  readonly map: DeltaMap | undefined;
  /** Everything was already read before an interruption. */
  readonly compared: boolean;
  readonly rolling?: RollingState | undefined;
  readonly resume?: Extract<Resumption, { kind: 'resumable' }>;
}
