/**
 * For commands that make no session: opens the archive, compares it with the pin, and closes the connection properly.
 */
import type { Purpose } from '../link/link.ts';
import { ArchiveState } from '../proven-archive/archive-state.ts';
import { openArchive, type OpenArchive } from '../proven-archive/open-archive.ts';
import type { CommandContext } from './command-context.ts';

export interface Opening {
  readonly purpose: Purpose;
  /** The command itself reports a damaged catalogue, and ends with exit status 4. */
  readonly reportsCatalogue: boolean;
}

export async function withArchive<T>(
  context: CommandContext,
  opening: Purpose | Opening,
  work: (archive: OpenArchive) => Promise<T>,
): Promise<T> {
  const { purpose, reportsCatalogue } =
    typeof opening === 'string' ? { purpose: opening, reportsCatalogue: false } : opening;
  const { archive, config, lockWait, signal, log } = context;
  const state = ArchiveState.open(config.stateDir, archive.name);
  const open = await openArchive(archive, state, { purpose, lockWait, signal, log, onWait: context.onWait });
  const fault = open.catalogueFault;
  if (fault !== undefined && !reportsCatalogue) log.error(`${fault.message}. ${fault.hint ?? ''}`);
  try {
    const result = await work(open);
    if (open.client.failure === undefined) await open.client.bye();
    return result;
  } finally {
    context.progress.clear();
    open.client.close();
  }
}
