/** `rename`: another name for a volume of the archive; its sessions stay what they are. */
import { renameEntry } from '../../maintain/volumes.ts';
import { withWriter } from '../../maintain/with-writer.ts';
import type { CommandContext } from '../command-context.ts';
import { print, printJson } from '../output.ts';
import { writerOptions } from '../writer-options.ts';

export async function rename(context: CommandContext, from: string, to: string): Promise<number> {
  const stayed = await withWriter(writerOptions(context), (writer) => renameEntry(writer, from, to));
  if (stayed !== undefined) context.log.warn(`the record of changes does not follow: ${stayed.message}`);
  if (context.json) printJson({ name: to, was: from });
  else print(`${from} is ${to} in the archive now.`);
  return 0;
}
