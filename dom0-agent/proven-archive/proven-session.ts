import type { Geometry } from '../../shared/archive/address.ts';
import type { VolumeId } from '../../shared/archive/names.ts';
import type { Head } from '../content/head.ts';

/** A session's proven head, and what it commits to. */
export interface ProvenSession {
  readonly volume: VolumeId;
  readonly head: Head;
  readonly headHash: Uint8Array;
  readonly geometry: Geometry;
}
