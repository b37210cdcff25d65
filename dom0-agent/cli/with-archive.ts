/** Commands that make no session: the archive is opened, compared with the pin, and the call ended in order. */
import type { Purpose } from '../link/link.ts';
import { ArchiveState } from '../trust/archive-state.ts';
import { openArchive, type OpenArchive } from '../trust/open-archive.ts';
import type { CommandContext } from './context.ts';

export async function withArchive<T>(
  context: CommandContext,
  purpose: Purpose,
  work: (archive: OpenArchive) => Promise<T>,
): Promise<T> {
  const { archive, config, lockWait, signal } = context;
  const state = ArchiveState.open(config.stateDir, archive.name);
  const open = await openArchive(archive, state, { purpose, lockWait, signal, onWait: context.onWait });
  try {
    const result = await work(open);
    if (open.client.failure === undefined) await open.client.bye();
    return result;
  } finally {
    context.progress.clear();
    open.client.close();
  }
}
