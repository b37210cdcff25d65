/** The content of one volume's send, and the services for it. */
import type { Geometry } from '../../shared/archive/address.ts';
import type { VolumeId } from '../../shared/archive/names.ts';
import type { SparsebakError } from '../../shared/errors.ts';
import type { Pace } from '../../shared/pace.ts';
import type { ArchiveContent } from '../content/archive-content.ts';
import type { WorkerGroup } from '../pipeline/worker-group.ts';
import type { Mapped } from '../source/source.ts';
import type { ProvenReader, ProvenSession } from '../proven-archive/proven-reader.ts';
import type { Outgoing } from './outgoing-volume.ts';
import type { MarkedChunks } from './read-plan.ts';

export interface VolumeContent {
  readonly volume: VolumeId;
  readonly name: string;
  /** The path where the frozen content is read. */
  readonly path: string;
  readonly geometry: Geometry;
  /** undefined: everything is read. */
  readonly marked: MarkedChunks | undefined;
  readonly mapped: Mapped;
  readonly base: { readonly session: ProvenSession; readonly index: Uint8Array } | undefined;
  /** Ranges whose page is missing in the archive, or that were found damaged: each is sent completely. */
  readonly lostPages: ReadonlySet<number>;
  /** The ranges below `range` were sent before an interruption; `index` and `changedBytes` are theirs. */
  readonly resume?: { readonly range: number; readonly index: Uint8Array; readonly changedBytes: number };
}

export interface VolumeServices {
  readonly content: ArchiveContent;
  readonly reader: ProvenReader;
  readonly workers: WorkerGroup;
  readonly outgoing: Outgoing;
  /** Called with the number of bytes read. */
  readonly onProgress: (bytes: number) => void;
  /** Called with the bytes of marked chunks in which nothing is mapped. */
  readonly onSkipped: (bytes: number) => void;
  /** Called for damage to the base that does not end the send. */
  readonly onFault: (fault: SparsebakError) => void;
  readonly signal: AbortSignal;
  readonly pace: Pace;
}
