/**
 * `init` of an archive that this dom0 knows and the destination does not have: a dead backup disk was replaced by an
 * empty one. A new archive gets the name, and dom0's state of the old one is set aside.
 */
import { SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { giveUpResuming } from '../capture/forget-volume.ts';
import type { ArchiveState } from '../proven-archive/archive-state.ts';
import { connect } from '../proven-archive/open-archive.ts';
import { setAside, type SetAside } from '../proven-archive/set-aside.ts';
import type { CommandContext } from './command-context.ts';

/** @throws `failed` if the destination has the archive, `rollback` if it has another one of that name */
export async function setAsideLost(context: CommandContext, state: ArchiveState): Promise<SetAside> {
  const { archive, config, lockWait, signal } = context;
  await mustBeLost(context, state);
  const aside = await setAside(archive.name, { stateDir: config.stateDir, lockWait, signal });
  const known = aside.line === undefined ? '' : `, at catalogue ${aside.line.sequence}`;
  context.log.warn(
    `the destination does not have archive "${archive.name}", which this computer knows${known}: a new one is ` +
      `created. What this computer knows of the old one, including its key, is kept in ${aside.folder}`,
  );
  await releaseSnapshots(context, state);
  return aside;
}

async function mustBeLost(context: CommandContext, { record }: ArchiveState): Promise<void> {
  const { archive, lockWait, signal } = context;
  const client = await connect(archive, { purpose: 'retrieve', signal, onWait: context.onWait });
  try {
    const opened = await client.request({ t: 'open', archive: archive.name, lockWait });
    await client.bye();
    if (opened.t === 'opened' && opened.archiveId === record.archive) {
      throw new SparsebakError('failed', `archive "${archive.name}" exists already`, {
        hint: 'Begin with "sparsebak send --full", or choose another archive name.',
      });
    }
    throw new SparsebakError(
      'rollback',
      `${client.destination} holds another archive under the name "${archive.name}"`,
      {
        hint:
          'Check whether the destination is the right one. To use the archive that is there, run "sparsebak ' +
          'key unlock --again"; for a new one choose another name.',
      },
    );
  } catch (error) {
    if (!(error instanceof SparsebakError) || error.code !== 'not-found') throw error;
    await client.bye();
  } finally {
    client.close();
  }
}

/** Interrupted sends cannot be resumed any more: their snapshots would only fill the pool. */
async function releaseSnapshots(context: CommandContext, { record }: ArchiveState): Promise<void> {
  try {
    for (const pool of context.pools()) await giveUpResuming(pool, record.archive);
  } catch (error) {
    context.log.warn(
      `snapshots of unfinished sends to the old archive could not be removed:  ${asSparsebakError(error).message}`,
    );
  }
}
