/** What only the receiver knows: that it answers, is of this release, has room, and has the archive that dom0 knows. */
import { bytesShort } from '../../../shared/archive/low-space.ts';
import { asSparsebakError } from '../../../shared/errors.ts';
import { RELEASE } from '../../../shared/release.ts';
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import type { ArchiveConfig } from '../../config/config.ts';
import { describeClock, localClock } from '../../proven-archive/clock-report.ts';
import { damagedFiles } from '../../proven-archive/archive-files.ts';
import type { ArchiveState } from '../../proven-archive/archive-state.ts';
import { openArchive, type OpenArchive } from '../../proven-archive/open-archive.ts';
import { fetchSlots } from '../../proven-archive/stored-slots.ts';
import { failed, failedBy, note, ok, type Finding } from '../../../shared/findings.ts';

export async function checkArchive(
  { config, lockWait, signal, log, onWait }: CommandContext,
  archive: ArchiveConfig,
  state: ArchiveState,
): Promise<Finding[]> {
  const clock = localClock(state, Date.now());
  const findings = clock === null ? [] : [failed('clock', describeClock(clock), 'Set the clock right.')];
  let open: OpenArchive;
  try {
    open = await openArchive(archive, state, { purpose: 'retrieve', lockWait, signal, log, onWait });
  } catch (caught) {
    return [...findings, failedBy(`archive ${archive.name}`, asSparsebakError(caught))];
  }
  try {
    findings.push(
      ok(`archive ${archive.name}`, `${open.client.destination} answers, and is as this computer knows it`),
    );
    findings.push(release(open));
    findings.push(await space(open, config.lowSpace));
    findings.push(...(await keys(open)));
    if (open.client.failure === undefined) await open.client.bye();
  } catch (caught) {
    findings.push(failedBy(`archive ${archive.name}`, asSparsebakError(caught)));
  } finally {
    open.client.close();
  }
  return findings;
}

function release({ client }: OpenArchive): Finding {
  return client.release === RELEASE
    ? ok('receiver', `release ${client.release}`)
    : note(
        'receiver',
        `release ${client.release}, and the agent's is ${RELEASE}`,
        'Install the same release of sparsebak on both sides.',
      );
}

async function space({ client }: OpenArchive, low: Parameters<typeof bytesShort>[1]): Promise<Finding> {
  const answer = await client.request({ t: 'get-space' });
  if (answer.t !== 'space') return note('space', 'the receiver does not say');
  const { totalBytes, freeBytes, freeInodes } = answer;
  const message = `${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} free`;
  if (freeInodes === 0) return failed('space', `${message}, but no inode`, 'Prune, or use another file system.');
  return bytesShort({ totalBytes, freeBytes }, low) === 0
    ? ok('space', message)
    : failed('space', `${message}: the backup disk runs low`, 'Prune ("sparsebak prune"), or use a larger disk.');
}

async function keys(open: OpenArchive): Promise<Finding[]> {
  const damaged = await damagedFiles(open);
  const slots = await fetchSlots(open.client, open.state.record.archive);
  const findings = damaged.map(({ fault }) => failedBy('keys', fault));
  if (!open.state.record.encrypted && slots.length === 0) return findings;
  const names = slots.map(({ name }) => name).join(', ');
  if (findings.length === 0) findings.push(ok('keys', `key slots: ${names}`));
  return slots.some(({ kind }) => kind === 'recovery')
    ? findings
    : [
        ...findings,
        note('keys', 'there is no recovery key', 'Make one with "sparsebak key add --recovery", and keep it on paper.'),
      ];
}
