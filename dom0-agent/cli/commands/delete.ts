/** `delete`: removes a volume from the archive with all its sessions. */
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import { listedVolumes, sessionNames } from '../../proven-archive/find-session.ts';
import { deleteEntry, mayBeDeleted } from '../../maintain/volumes.ts';
import { withWriter } from '../../maintain/with-writer.ts';
import { confirm } from '../confirm.ts';
import type { CommandContext } from '../command-context.ts';
import { print, printJson } from '../output.ts';
import { withArchive } from '../with-archive.ts';
import { writerOptions } from '../writer-options.ts';

export async function deleteVolume(
  context: CommandContext,
  name: string,
  { yes = false }: { readonly yes?: boolean },
): Promise<number> {
  if (!yes) {
    const count = await withArchive(context, 'retrieve', async (open) => {
      const [entry] = listedVolumes(open, [name]);
      if (entry === undefined) return 0;
      mayBeDeleted(open, entry);
      return (await sessionNames(open, entry.id)).length;
    });
    const about = `${name} has ${count} sessions in the archive. The volume itself stays.`;
    await confirm(about, `Delete all sessions of ${name} permanently?`, false);
  }
  const freedBytes = await withWriter(writerOptions(context), (writer) => deleteEntry(writer, name));
  if (context.json) printJson({ name, deleted: true, freedBytes });
  else print(`${name} is deleted from the archive, ${formatBytes(freedBytes)} freed.`);
  return 0;
}
