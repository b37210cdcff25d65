/** What a send tells of itself (docs/cli.md has it as JSON). */
import type { SessionName } from '../../shared/archive/names.ts';
import type { SparsebakError } from '../../shared/errors.ts';

export interface VolumeReport {
  readonly name: string;
  /** `full` only where there was no earlier session. */
  readonly kind: 'full' | 'incremental' | 'unchanged' | 'skipped' | 'failed';
  /** Compared in full rather than by a delta map. */
  readonly compared: boolean;
  readonly volumeBytes: number;
  /** Of whole chunks whose identity changed. */
  readonly changedBytes: number;
  readonly chunks: number;
  readonly zeroChunks: number;
  readonly sentBytes: number;
  readonly seconds: number;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface SendReport {
  /** null: nothing was committed. */
  readonly session: SessionName | null;
  readonly volumes: readonly VolumeReport[];
}

export function blankReport(name: string): VolumeReport {
  return {
    name,
    kind: 'failed',
    compared: false,
    volumeBytes: 0,
    changedBytes: 0,
    chunks: 0,
    zeroChunks: 0,
    sentBytes: 0,
    seconds: 0,
  };
}

export function failedReport(name: string, error: SparsebakError, seconds: number): VolumeReport {
  return { ...blankReport(name), seconds, error: { code: error.code, message: error.message } };
}
