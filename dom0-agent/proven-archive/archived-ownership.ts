/**
 * Whom a volume's file belonged to, and its mode, when it was archived. Heads do not say it, and the file that has the
 * name later may be anybody's: who restores in its place gives the content to those who could read it then, and to
 * nobody else. Kept beside the archive's state; only changes are noted, so what is known of a session is the last note
 * at or before it. What cannot be read counts as not known.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { isId, isSessionName, type SessionName, type VolumeId } from '../../shared/archive/names.ts';
import { writeDurably } from '../../shared/durable.ts';
import { asSparsebakError } from '../../shared/errors.ts';

const FILE = 'ownership.json';

const note = z.strictObject({
  /** The first session that it holds for. */
  session: z.string().refine(isSessionName),
  /** As `ownershipOf` writes it; null where it was not known. */
  ownership: z.string().nullable(),
});
const schema = z.strictObject({ v: z.literal(1), volumes: z.record(z.string().refine(isId), z.array(note)) });

type Notes = z.infer<typeof schema>['volumes'];

/** @param folder of the archive's state */
export function archivedOwnership(folder: string, volume: VolumeId, session: SessionName): string | undefined {
  const notes = read(folder)?.[volume] ?? [];
  return notes.filter((each) => each.session <= session).at(-1)?.ownership ?? undefined;
}

/**
 * To be called before the session can be committed. A session that never is leaves notes that no session uses.
 * @param found undefined where it is not known
 * @throws `io` where it cannot be noted
 */
export function noteOwnership(
  folder: string,
  session: SessionName,
  found: ReadonlyMap<VolumeId, string | undefined>,
): void {
  const volumes: Notes = read(folder) ?? {};
  const changed = [...found].flatMap(([volume, ownership = null]) => {
    const notes = volumes[volume] ?? [];
    if (ownership === (notes.at(-1)?.ownership ?? null)) return [];
    return [[volume, [...notes.filter((each) => each.session < session), { session, ownership }]] as const];
  });
  if (changed.length === 0) return;
  try {
    const content = { v: 1, volumes: { ...volumes, ...Object.fromEntries(changed) } };
    writeDurably(join(folder, FILE), `${JSON.stringify(content)}\n`);
  } catch (error) {
    throw asSparsebakError(error, 'io', `dom0's state, ${join(folder, FILE)}`);
  }
}

function read(folder: string): Notes | undefined {
  try {
    return schema.parse(JSON.parse(readFileSync(join(folder, FILE), 'utf8'))).volumes;
  } catch {
    return undefined;
  }
}
