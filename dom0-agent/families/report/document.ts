/** What a report has; `report --json` prints it. */
import type { ErrorReport } from '../../../shared/errors.ts';
import type { ShownProofs } from '../../proven-archive/proofs.ts';

export interface ReportedSession {
  readonly session: string;
  /** ISO 8601, of the snapshot. */
  readonly time: string;
  readonly kind: 'full' | 'incremental';
  /** Bytes of chunks that differ from the session before. */
  readonly changedBytes: number;
  /** Bytes that it takes on the backup disk, as the receiver says. */
  readonly storedBytes: number;
  readonly tags: readonly string[];
  readonly state: 'stopped' | 'running';
  /** The retention policy of the configuration would remove it. */
  readonly prunable: boolean;
}

export interface ReportedVolume {
  readonly name: string;
  readonly sizeBytes: number;
  readonly proven: ShownProofs;
  /** When a send last had no error with it, ISO 8601; null: not recorded. */
  readonly sent: string | null;
  readonly overdue: readonly ('send' | 'verify')[];
  /** Bytes that pruning by the retention policy would free; null: there is no policy. */
  readonly freedBytes: number | null;
  /** Oldest first. */
  readonly sessions: readonly ReportedSession[];
  readonly error?: ErrorReport;
}

export interface ReportDocument {
  readonly archive: string;
  readonly id: string;
  readonly sequence: number;
  readonly encrypted: boolean;
  readonly dedup: boolean;
  readonly codec: string;
  /** When the report was made, ISO 8601. */
  readonly time: string;
  /** Of the backup disk, as the receiver says. */
  readonly space: { readonly totalBytes: number; readonly freeBytes: number };
  /** Of all volumes; null: the configuration has no retention policy. */
  readonly freedBytes: number | null;
  readonly volumes: readonly ReportedVolume[];
}
