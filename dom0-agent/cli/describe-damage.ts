/** Describes the damage that a send found in the archive, and the exit status for it. */
import { EXIT_STATUS } from '../../shared/errors.ts';
import type { RepairCounts, SendReport, VolumeReport } from '../send/send-report.ts';
import type { VolumeError } from './volume-errors.ts';

export function describeDamage({ repaired, lost, left = 0 }: RepairCounts): string {
  const parts = [
    ...(repaired > 0 ? [`${repaired} repaired`] : []),
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(left > 0 ? [`${left} left to repair`] : []),
  ];
  return `damaged in the archive: ${parts.join(', ')}`;
}

/** Damage that a send has not repaired, each with the next step. */
export function unrepaired({ name, damage }: VolumeReport): VolumeError[] {
  const { lost = 0, left = 0 } = damage ?? {};
  const error = (message: string, hint: string): VolumeError => ({ name, error: { code: 'integrity', message, hint } });
  return [
    ...(lost === 0 ? [] : [error(`${lost} damaged chunks or pages are lost`, LOST_HINT)]),
    ...(left === 0 ? [] : [error(`${left} damaged chunks or pages are left`, LEFT_HINT)]),
  ];
}

const LOST_HINT =
  'The volume has changed since, and the new session does not need what is lost. "sparsebak verify ' +
  '--all-sessions" shows which older sessions are intact; another copy of the backup disk may have it.';
const LEFT_HINT =
  'Each send repairs a limited number, and the next sends continue. If this never ends, check what the backup VM runs.';

/** Whether the archive's copy of the volume is damaged. */
export function isDamaged(volume: VolumeReport): boolean {
  return unrepaired(volume).length > 0 || volume.error?.code === 'integrity' || volume.error?.code === 'rollback';
}

export function sendStatus({ volumes }: SendReport): number {
  if (volumes.some(isDamaged)) return EXIT_STATUS.integrity;
  const failed = volumes.filter(({ kind }) => kind === 'failed');
  const isSent = volumes.some(({ kind }) => kind === 'full' || kind === 'incremental');
  // The receiver accepted nothing at all, so the cause is not one volume.
  if (!isSent && failed.length > 0 && failed.every(({ error }) => error?.code === 'refused'))
    return EXIT_STATUS.refused;
  return volumes.some(({ kind }) => kind === 'failed' || kind === 'skipped') ? EXIT_STATUS.partial : 0;
}
