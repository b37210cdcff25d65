/** Options shared by commands that change the archive. */
import type { WriterOptions } from '../maintain/writer.ts';
import { ArchiveState } from '../proven-archive/archive-state.ts';
import type { CommandContext } from './command-context.ts';

export function writerOptions(context: CommandContext): WriterOptions {
  const { archive, config, lockWait, signal, log } = context;
  const state = ArchiveState.open(config.stateDir, archive.name);
  return { archive, state, lockWait, signal, log, pools: context.pools(), onWait: context.onWait };
}
