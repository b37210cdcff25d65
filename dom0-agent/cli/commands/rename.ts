/** `rename`: gives a volume of the archive another name; its sessions do not change. */
import { renameEntry } from '../../maintain/volumes.ts';
import { withWriter } from '../../maintain/with-writer.ts';
import type { CommandContext } from '../command-context.ts';
import { print, printJson } from '../output.ts';
import { writerOptions } from '../writer-options.ts';

export async function rename(context: CommandContext, from: string, to: string): Promise<number> {
  const stayed = await withWriter(writerOptions(context), (writer) => renameEntry(writer, from, to));
  if (stayed !== undefined) context.log.warn(`the record of changes was not renamed: ${stayed.message}`);
  if (context.json) printJson({ name: to, was: from });
  else print(`${from} is now ${to} in the archive.`);
  return 0;
}
