/** Commands that only read: the archive is opened, compared with the pin, and the call ended in order. */
import { ArchiveState } from '../trust/archive-state.ts';
import { openArchive, type OpenArchive } from '../trust/open-archive.ts';
import type { CommandContext } from './context.ts';

export async function withArchive<T>(context: CommandContext, work: (archive: OpenArchive) => Promise<T>): Promise<T> {
  const { archive, config, lockWait, signal } = context;
  const state = ArchiveState.open(config.stateDir, archive.name);
  const open = await openArchive(archive, state, { lockWait, signal });
  try {
    const result = await work(open);
    if (open.client.failure === undefined) await open.client.bye();
    return result;
  } finally {
    context.progress.clear();
    open.client.close();
  }
}
