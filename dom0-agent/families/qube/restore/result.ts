/** What became of each qube of a restore. */
import type { ErrorReport } from '../../../../shared/errors.ts';
import type { Remark } from './wanted.ts';

/** `whole`: as it was saved; `changed`: all there is in the remarks; `failed`: it keeps the tag of a restore. */
export type Outcome = 'whole' | 'changed' | 'failed';

export interface QubeResult {
  /** Its name in the archive. */
  readonly qube: string;
  /** Its name here. */
  readonly name: string;
  readonly action: 'create' | 'continue' | 'replace' | 'undo';
  readonly result: Outcome;
  readonly volumes: readonly { readonly volume: string; readonly session: string }[];
  readonly remarks: readonly Remark[];
  /** Volumes that were replaced. */
  readonly kept: readonly { readonly volume: string; readonly pool: string; readonly name: string }[];
  readonly error?: ErrorReport;
}

export function outcomeOf(remarks: readonly Remark[]): Outcome {
  return remarks.length === 0 ? 'whole' : 'changed';
}
