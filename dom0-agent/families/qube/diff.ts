/** `qube diff`: how a qube's settings differ now from those that were saved. */
import { SparsebakError } from '../../../shared/errors.ts';
import { escapeText } from '../../../shared/text.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import { formatTable, print, printJson } from '../../cli/output.ts';
import { withArchive } from '../../cli/with-archive.ts';
import { readSettings, surroundings } from '../../qubes/read-settings.ts';
import type { Settings } from '../../qubes/settings.ts';
import { QubeArchive, type ArchivedSettings } from './archived.ts';
import { differences } from './differences.ts';
import { presenceOf, qubesdOf } from './here.ts';

export async function diff(
  context: CommandContext,
  name: string,
  { session }: { readonly session?: string },
): Promise<number> {
  const saved = await withArchive(context, 'retrieve', async (open) => {
    const archive = await QubeArchive.of(open);
    return await archive.settings(archive.qube(name), session);
  });
  const now = await settingsNow(context, name, saved);
  const found = differences(saved.document, now);
  if (context.json) printJson({ name, now: now.name, session: saved.session, differences: found });
  else if (found.length === 0) print(`The settings of ${now.name} are those of ${saved.session}.`);
  else {
    const shown = (value: string | null): string => escapeText((value ?? '-').replaceAll('\n', '; '), 200);
    const rows = found.map(({ item, saved: before, now: after }) => [
      escapeText(item, 200),
      shown(before),
      shown(after),
    ]);
    print(formatTable(['SETTING', saved.session, 'NOW'], rows));
  }
  return 0;
}

async function settingsNow(context: CommandContext, name: string, { document }: ArchivedSettings): Promise<Settings> {
  const qubesd = qubesdOf(context.config);
  const [here, around] = await Promise.all([qubesd.qubes(), surroundings(qubesd)]);
  const presence = presenceOf(name, document.uuid, here);
  const nameNow = presence.is === 'renamed' ? presence.to : name;
  const entry = here.find((each) => each.name === nameNow);
  if (entry !== undefined) return await readSettings(qubesd, entry, around);
  throw new SparsebakError('not-found', `there is no qube ${name} here to compare with`, {
    hint: `See what was saved: sparsebak qube show ${name}`,
  });
}
