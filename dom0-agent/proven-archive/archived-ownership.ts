/**
 * The owner and mode of a volume's file when it was archived. Heads do not contain them, and a later file of that name
 * may belong to another user: a restore must let only those read the content who could read it then. Kept beside the
 * archive's state. Only changes are noted, so the last note at or before a session applies to it. An unreadable file
 * counts as unknown.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isId, isSessionName, type SessionName, type VolumeId } from '../../shared/archive/names.ts';
import { writeDurably } from '../../shared/durable.ts';
import { asSparsebakError } from '../../shared/errors.ts';
import * as z from '../../shared/zod.ts';

const FILE = 'ownership.json';

const note = z.strictObject({
  /** The first session to which it applies. */
  session: z.string().check(z.refine(isSessionName)),
  /** As `ownershipOf` writes it; null if it was not known. */
  ownership: z.nullable(z.string()),
});
const schema = z.strictObject({ v: z.literal(1), volumes: z.record(z.string().check(z.refine(isId)), z.array(note)) });

type Notes = z.infer<typeof schema>['volumes'];

/** @param folder of the archive's state */
export function archivedOwnership(folder: string, volume: VolumeId, session: SessionName): string | undefined {
  const notes = read(folder)?.[volume] ?? [];
  return notes.filter((each) => each.session <= session).at(-1)?.ownership ?? undefined;
}

/**
 * Must be called before the session can be committed. If it never is, the note is unused.
 * @param found undefined if it is not known
 * @throws `io` if it cannot be noted
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
