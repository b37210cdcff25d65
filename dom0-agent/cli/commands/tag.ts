/** `tag`: adds tags to a session or removes them. */
import { isSessionName } from '../../../shared/archive/names.ts';
import { SparsebakError } from '../../../shared/errors.ts';
import { checkTags } from '../../maintain/check-tags.ts';
import { tagSession } from '../../maintain/volumes.ts';
import { withWriter } from '../../maintain/with-writer.ts';
import type { CommandContext } from '../command-context.ts';
import { print, printJson } from '../output.ts';
import { writerOptions } from '../writer-options.ts';

export interface TagOptions {
  readonly session?: string;
  readonly add: readonly string[];
  readonly remove: readonly string[];
}

export async function tag(
  context: CommandContext,
  volume: string,
  { session, add, remove }: TagOptions,
): Promise<number> {
  if (session === undefined || !isSessionName(session)) {
    throw new SparsebakError('usage', session === undefined ? 'no session is given' : `"${session}" is not a session`, {
      hint: 'Give a session like --session S_20261123-020000; see "sparsebak list".',
    });
  }
  if (add.length + remove.length === 0) {
    throw new SparsebakError('usage', 'no tag is given', { hint: 'Give --add TAG or --remove TAG.' });
  }
  checkTags(add);
  const tags = await withWriter(writerOptions(context), (writer) =>
    tagSession(writer, { volume, session, add, remove }),
  );
  if (context.json) printJson({ name: volume, session, tags });
  else print(`${volume} ${session}: ${tags.length === 0 ? 'no tag' : tags.join(', ')}`);
  return 0;
}
