/** What a send found damaged in the archive, for people; and the exit status that comes of it. */
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
  'The volume has other content by now, and the new session does not need what is lost. "sparsebak verify ' +
  '--all-sessions" tells which older sessions are whole; another copy of the backup disk may have it.';
const LEFT_HINT =
  'A send repairs some at a time, and the next ones go on. If it never ends, look at what the backup VM runs.';

/** Whether the archive is not what it must be of a volume. */
export function isDamaged(volume: VolumeReport): boolean {
  return unrepaired(volume).length > 0 || volume.error?.code === 'integrity' || volume.error?.code === 'rollback';
}

export function sendStatus({ volumes }: SendReport): number {
  if (volumes.some(isDamaged)) return EXIT_STATUS.integrity;
  const failed = volumes.filter(({ kind }) => kind === 'failed');
  const isSent = volumes.some(({ kind }) => kind === 'full' || kind === 'incremental');
  // The receiver took nothing at all: it is not one volume's doing.
  if (!isSent && failed.length > 0 && failed.every(({ error }) => error?.code === 'refused'))
    return EXIT_STATUS.refused;
  return volumes.some(({ kind }) => kind === 'failed' || kind === 'skipped') ? EXIT_STATUS.partial : 0;
}
