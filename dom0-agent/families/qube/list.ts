/** `qube list`: the qubes in the archive, and whether each is here. */
import { EXIT_STATUS, asSparsebakError, reportOf, type ErrorReport } from '../../../shared/errors.ts';
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import { escapeText } from '../../../shared/text.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import { formatTable, print, printJson } from '../../cli/output.ts';
import { printVolumeErrors, statusOfErrors } from '../../cli/volume-errors.ts';
import { withArchive } from '../../cli/with-archive.ts';
import { readSavedQubes, type SavedQubes } from '../../qubes/known-qubes.ts';
import type { Qubesd, QubeEntry } from '../../qubes/qubesd.ts';
import { isVolumeError } from '../../proven-archive/volume-error.ts';
import { QubeArchive, sessionsOf, type ArchivedPart, type ArchivedQube } from './archived.ts';
import { describePresence, presenceOf, qubesdOf, qubesHere, type Presence } from './here.ts';

interface ListedQube {
  readonly name: string;
  readonly class: string | null;
  readonly template: string | null;
  readonly label: string | null;
  readonly uuid: string | null;
  readonly sessions: number;
  readonly newest: string | null;
  /** Of its volumes at their newest sessions. */
  readonly sizeBytes: number;
  /** Null: not known. */
  readonly here: Presence | null;
  readonly error?: ErrorReport;
}

export async function list(context: CommandContext): Promise<number> {
  const qubesd: Qubesd = qubesdOf(context.config);
  return withArchive(context, 'retrieve', async (open) => {
    const [archive, here] = await Promise.all([QubeArchive.of(open), qubesHere(qubesd)]);
    const saved = readSavedQubes(open.state.folder);
    const qubes = await Promise.all(
      [...archive.found.qubes.values()].map((qube) => listed(archive, qube, here, saved)),
    );
    const { dom0Home } = archive.found;
    const home = dom0Home === undefined ? null : homeOf(dom0Home);
    if (context.json) printJson({ qubes, dom0Home: home });
    else print(asText(qubes, home));
    const errors = qubes.flatMap(({ name, error }) => (error === undefined ? [] : [{ name, error }]));
    printVolumeErrors(errors);
    return errors.length === 0 ? 0 : statusOfErrors(errors) || EXIT_STATUS.failed;
  });
}

function homeOf({ sessions, entry }: ArchivedPart): { readonly sessions: number; readonly newest: string | null } {
  return { sessions: sessions.length, newest: entry.session };
}

async function listed(
  archive: QubeArchive,
  qube: ArchivedQube,
  here: readonly QubeEntry[] | undefined,
  saved: SavedQubes,
): Promise<ListedQube> {
  const sessions = sessionsOf(qube);
  const shown = { name: qube.name, sessions: sessions.length, newest: sessions.at(-1) ?? null };
  const unknown = { class: null, template: null, label: null, uuid: null, sizeBytes: 0 };
  const presence = (uuid: string | undefined): Presence | null =>
    here === undefined ? null : presenceOf(qube.name, uuid, here, saved);
  try {
    const [sizes, settings] = await Promise.all([
      Promise.all([...qube.volumes.values()].map((part) => sizeOf(archive, part))),
      qube.settings === undefined ? undefined : archive.settings(qube, undefined),
    ]);
    const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);
    if (settings === undefined) return { ...shown, ...unknown, sizeBytes, here: presence(undefined) };
    const { class: qubeClass, template, label, uuid } = settings.document;
    return { ...shown, class: qubeClass, template, label: label.name, uuid, sizeBytes, here: presence(uuid) };
  } catch (caught) {
    const error = asSparsebakError(caught);
    if (error.code !== 'failed' && !isVolumeError(caught, archive.open.client)) throw error;
    return { ...shown, ...unknown, here: presence(undefined), error: reportOf(error) };
  }
}

async function sizeOf(archive: QubeArchive, part: ArchivedPart): Promise<number> {
  const session = archive.sessionAt(part, undefined);
  return session === undefined ? 0 : (await archive.head(part, session)).head.size;
}

function asText(qubes: readonly ListedQube[], home: ReturnType<typeof homeOf> | null): string {
  if (qubes.length === 0 && home === null) return 'The archive has no qube yet.';
  const rows = qubes.map((qube) => [
    `${qube.name}${qube.error === undefined ? '' : ' (DAMAGED)'}`,
    escapeText(qube.class ?? '(volumes only)', 40),
    escapeText(qube.template ?? '', 40),
    escapeText(qube.label ?? '', 40),
    String(qube.sessions),
    qube.newest ?? '',
    formatBytes(qube.sizeBytes),
    escapeText(describePresence(qube.here ?? undefined), 60),
  ]);
  const table = formatTable(
    ['QUBE', 'CLASS', 'TEMPLATE', 'LABEL', 'SESSIONS', 'NEWEST', 'SIZE', 'HERE'],
    rows,
    [4, 6],
    [3, 4, 2, 6],
  );
  if (home === null) return table;
  return `${table}\ndom0's home: ${home.sessions} sessions, the newest is ${home.newest ?? 'none'}`;
}
