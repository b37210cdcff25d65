/** `list`: the volumes of the archive and their sessions, each head proven. */
import { SparsebakError } from '../../../shared/errors.ts';
import type { OpenArchive } from '../../trust/open-archive.ts';
import type { ProvenSession } from '../../trust/proven-reader.ts';
import type { CommandContext } from '../context.ts';
import { formatBytes, formatTable, print, printJson } from '../output.ts';
import { withArchive } from '../with-archive.ts';

interface ListedSession {
  readonly session: string;
  readonly sequence: number;
  readonly kind: 'full' | 'incremental';
  readonly sizeBytes: number;
  readonly changedBytes: number;
  readonly storedBytes: number;
  readonly tags: readonly string[];
  /** ISO 8601, of the snapshot. */
  readonly time: string;
  readonly state: 'stopped' | 'running';
}

interface ListedVolume {
  readonly name: string;
  readonly sizeBytes: number;
  /** Not in the catalogue: committed by a send that was cut off before it could list it. */
  readonly uncatalogued?: true;
  readonly sessions: readonly ListedSession[];
}

export async function list(context: CommandContext, name: string | undefined): Promise<number> {
  return withArchive(context, async (archive) => {
    const volumes = await listed(archive, name);
    if (name !== undefined && volumes.length === 0) {
      throw new SparsebakError('not-found', `the archive has no volume "${name}"`, { hint: 'See "sparsebak list".' });
    }
    if (context.json) printJson({ volumes });
    else print(asText(volumes));
    return 0;
  });
}

async function listed({ reader, pinned }: OpenArchive, name: string | undefined): Promise<ListedVolume[]> {
  const stored = await reader.volumes();
  const entries = new Map(pinned.catalogue.volumes.map((volume) => [volume.id, volume]));
  const volumes = await Promise.all(
    [...stored].map(async ([id, sessions]): Promise<ListedVolume | undefined> => {
      const entry = entries.get(id);
      if (entry?.state === 'deleted' || (name !== undefined && entry !== undefined && entry.name !== name))
        return undefined;
      const expected = entry?.session && entry.head ? { session: entry.session, hash: entry.head } : undefined;
      const heads = await reader.heads(id, [], expected);
      const newest = heads.at(-1);
      if (newest === undefined) return undefined;
      const bytes = new Map(sessions.map(({ session, storedBytes }) => [session, storedBytes]));
      return {
        name: entry?.name ?? newest.head.name,
        sizeBytes: newest.head.size,
        ...(entry === undefined ? { uncatalogued: true as const } : {}),
        sessions: heads.map((head) => asSession(head, bytes.get(head.head.session) ?? 0, entry?.tags ?? {})),
      };
    }),
  );
  return volumes
    .filter((volume) => volume !== undefined)
    .filter((volume) => name === undefined || volume.name === name)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function asSession(
  { head }: ProvenSession,
  storedBytes: number,
  tags: Readonly<Record<string, string[]>>,
): ListedSession {
  return {
    session: head.session,
    sequence: head.sequence,
    kind: head.base === null ? 'full' : 'incremental',
    sizeBytes: head.size,
    changedBytes: head.changedBytes,
    storedBytes,
    tags: tags[head.session] ?? [],
    time: new Date(head.time).toISOString(),
    state: head.state,
  };
}

function asText(volumes: readonly ListedVolume[]): string {
  if (volumes.length === 0) return 'The archive has no volume yet.';
  const rows = volumes.flatMap(({ name, sessions, uncatalogued }) =>
    sessions.map((session, index) => [
      index === 0 ? `${name}${uncatalogued === true ? ' (uncatalogued)' : ''}` : '',
      session.session,
      session.kind,
      formatBytes(session.sizeBytes),
      formatBytes(session.changedBytes),
      formatBytes(session.storedBytes),
      [...session.tags, ...(session.state === 'running' ? ['(running)'] : [])].join(', '),
    ]),
  );
  return formatTable(['VOLUME', 'SESSION', 'KIND', 'SIZE', 'CHANGED', 'STORED', 'TAGS'], rows, [3, 4, 5]);
}
