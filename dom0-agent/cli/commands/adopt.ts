/** `adopt`: this dom0 becomes the one that writes to the archive. */
import { adoptArchive } from '../../maintain/adopt-archive.ts';
import { withWriter } from '../../maintain/with-writer.ts';
import { confirm } from '../confirm.ts';
import type { CommandContext } from '../command-context.ts';
import { print, printJson } from '../output.ts';
import { writerOptions } from '../writer-options.ts';

export interface AdoptOptions {
  readonly yes?: boolean;
  readonly acceptRollback?: boolean;
}

export async function adopt(
  context: CommandContext,
  { yes = false, acceptRollback = false }: AdoptOptions,
): Promise<number> {
  await confirm(
    'The computer that wrote to this archive may then only read it. Interrupted sends are discarded.',
    `Take over archive ${context.archive.name}?`,
    yes,
  );
  const options = { ...writerOptions(context), adopts: true, acceptRollback };
  const { adopted, sequence } = await withWriter(options, async (writer) => ({
    adopted: await adoptArchive(writer),
    sequence: writer.open.pin.known.catalogue.sequence,
  }));
  if (context.json) printJson({ archive: context.archive.name, sequence, adopted });
  else {
    print(`This computer writes to archive "${context.archive.name}" now (catalogue ${sequence}).`);
    for (const { name, session } of adopted) print(`  taken in: ${name} ${session}`);
  }
  return 0;
}
