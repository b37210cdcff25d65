/** Finds what the archive has of the qubes that are to be restored. */
import { reportOf, SparsebakError, type ErrorCode } from '../../../../shared/errors.ts';
import type { QubeArchive, ArchivedQube } from '../archived.ts';
import type { LeftQube } from './plan.ts';
import type { RestoreRecord } from './record.ts';
import type { SelectedQube } from './request.ts';

export interface Selection {
  readonly selected: readonly SelectedQube[];
  /** Those of which something is damaged or missing. */
  readonly left: readonly LeftQube[];
}

/** Errors that concern one qube: the others can be restored. */
const OF_ONE_QUBE: ReadonlySet<ErrorCode> = new Set(['integrity', 'rollback', 'not-found', 'failed']);

/**
 * @param recordOf the record of an unfinished restore of a qube: it continues with the sessions that it began with
 * @throws `not-found` for an unknown qube
 */
export async function selectQubes(
  archive: QubeArchive,
  names: readonly string[],
  session: string | undefined,
  recordOf: (qube: string) => RestoreRecord | undefined,
): Promise<Selection> {
  const qubes = names.length === 0 ? [...archive.found.qubes.values()] : names.map((name) => archive.qube(name));
  const found = await Promise.all(
    qubes.map(async (qube): Promise<SelectedQube | LeftQube> => {
      try {
        return await selectOne(archive, qube, sessionFor(qube, session, recordOf(qube.name)));
      } catch (error) {
        if (!(error instanceof SparsebakError) || !OF_ONE_QUBE.has(error.code)) throw error;
        if (archive.open.client.failure !== undefined) throw error;
        return { qube: qube.name, error: reportOf(error) };
      }
    }),
  );
  return {
    selected: found.flatMap((each) => ('settings' in each ? [each] : [])),
    left: found.flatMap((each) => ('error' in each ? [each] : [])),
  };
}

/** @throws `usage` if an unfinished restore would have to be abandoned half-way */
function sessionFor(
  { name }: ArchivedQube,
  session: string | undefined,
  record: RestoreRecord | undefined,
): string | undefined {
  if (record === undefined || record.phase === 'done') return session;
  if (session === undefined || session === record.session) return record.session;
  if (record.phase === 'create' || record.phase === 'volumes') return session;
  throw new SparsebakError('usage', `a restore of ${name} as of ${record.session} was not finished`, {
    hint: 'Continue it first, by the same command without --session.',
  });
}

async function selectOne(archive: QubeArchive, qube: ArchivedQube, session: string | undefined): Promise<SelectedQube> {
  const settings = await archive.settings(qube, session);
  const { volumes } = settings.document;
  const parts = [...qube.volumes].flatMap(([volume, part]) => {
    const at = volumes[volume]?.saved === true ? archive.sessionAt(part, session) : undefined;
    return at === undefined ? [] : [{ volume, part, at }];
  });
  const heads = await Promise.all(
    parts.map(async ({ volume, part, at }) => {
      const { head } = await archive.head(part, at);
      return [volume, { session: at, sizeBytes: head.size }] as const;
    }),
  );
  return { qube: qube.name, settings, volumes: Object.fromEntries(heads) };
}
