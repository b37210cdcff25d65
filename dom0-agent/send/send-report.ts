/** The report of a send (docs/cli.md describes it as JSON). */
import type { SessionName } from '../../shared/archive/names.ts';
import { reportOf, type ErrorReport, type SparsebakError } from '../../shared/errors.ts';
import type { SkippedEntry } from '../capture/look-at-pool.ts';
import type { ClockReport } from '../proven-archive/clock-report.ts';
import type { StreamCounts } from './stream.ts';

export interface VolumeReport {
  readonly name: string;
  /** `full` only if there was no earlier session. */
  readonly kind: 'full' | 'incremental' | 'unchanged' | 'skipped' | 'failed';
  /** Compared in full rather than by a delta map. */
  readonly compared: boolean;
  readonly volumeBytes: number;
  /** Bytes of chunks whose identity changed, in whole chunks. */
  readonly changedBytes: number;
  readonly chunks: number;
  readonly zeroChunks: number;
  readonly sentBytes: number;
  readonly seconds: number;
  /**
   * Its qube is running, and the stopped state was captured: what the qube has written since its start is not in it.
   */
  readonly running?: true;
  /** Damage of the volume that the receiver knew of; absent if there was none. */
  readonly damage?: RepairCounts;
  readonly error?: ErrorReport;
}

/** Counts of chunks and pages. */
export interface RepairCounts {
  /** Repaired from the snapshot. */
  readonly repaired: number;
  /** The snapshot no longer has their content. */
  readonly lost: number;
  /** Left for the next send, since one send repairs a limited number; absent if there are none. */
  readonly left?: number;
}

export interface SendReport {
  /** null: nothing was committed. */
  readonly session: SessionName | null;
  /** Why this computer's clock is doubtful; null if it is not. */
  readonly clock: ClockReport | null;
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

/** The report of a sent volume: its counts, and the damage to the base. */
export function sentReport(name: string, kind: VolumeReport['kind'], sent: StreamCounts): VolumeReport {
  const { compared, volumeBytes, changedBytes, chunks, zeroChunks, sentBytes, fault } = sent;
  const { repaired, lost, left } = sent.repaired;
  return {
    ...{ ...blankReport(name), kind, compared, volumeBytes, changedBytes, chunks, zeroChunks, sentBytes },
    ...(repaired + lost + left > 0 ? { damage: { repaired, lost, ...(left > 0 ? { left } : {}) } } : {}),
    ...(fault === undefined ? {} : { error: reportOf(fault) }),
  };
}

export function failedReport(name: string, error: SparsebakError, seconds: number): VolumeReport {
  return { ...blankReport(name), seconds, error: reportOf(error) };
}

/** The same, if dom0 could not record how the volume's send ended. */
export function withFailure(report: VolumeReport, error: SparsebakError | undefined): VolumeReport {
  return error === undefined ? report : { ...report, kind: 'failed', error: reportOf(error) };
}

/** The report, with what the configuration selects and cannot be sent. */
export function withSkipped({ volumes, ...report }: SendReport, skipped: readonly SkippedEntry[]): SendReport {
  const rows = skipped.map(({ name, kind, error }): VolumeReport => ({ ...blankReport(name), kind, error }));
  return { ...report, volumes: [...volumes, ...rows].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** The reports by name, with those of interrupted sends that the same run completed first. */
export function withResumed(reports: readonly VolumeReport[], resumed: readonly VolumeReport[]): VolumeReport[] {
  const merged = new Map(resumed.map((report) => [report.name, report]));
  for (const report of reports) {
    const before = merged.get(report.name);
    const failed = report.kind === 'failed' || report.kind === 'skipped';
    merged.set(report.name, before === undefined || failed ? report : together(before, report));
  }
  return [...merged.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Joins the reports of a volume's two sessions of one run, or of its session and the finding that nothing changed
 * since.
 */
function together(first: VolumeReport, then: VolumeReport): VolumeReport {
  return {
    ...first,
    ...then,
    ...(first.error === undefined ? {} : { error: first.error }),
    ...damageOf([first, then]),
    kind: first.kind,
    compared: first.compared || then.compared,
    changedBytes: first.changedBytes + then.changedBytes,
    chunks: first.chunks + then.chunks,
    zeroChunks: first.zeroChunks + then.zeroChunks,
    sentBytes: first.sentBytes + then.sentBytes,
    seconds: first.seconds + then.seconds,
  };
}

function damageOf(reports: readonly VolumeReport[]): Pick<VolumeReport, 'damage'> {
  const found = reports.flatMap(({ damage }) => damage ?? []);
  if (found.length === 0) return {};
  const sum = (of: (damage: RepairCounts) => number) => found.reduce((total, each) => total + of(each), 0);
  // What the first send left, the second one of the same run may have repaired.
  const left = found.at(-1)?.left;
  const damage = { repaired: sum(({ repaired }) => repaired), lost: sum(({ lost }) => lost) };
  return { damage: left === undefined ? damage : { ...damage, left } };
}
