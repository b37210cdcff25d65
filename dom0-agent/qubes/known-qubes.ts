/**
 * The qubes that were saved to an archive, by uuid, in `archives/NAME/qubes.json`: so that a qube that was renamed,
 * removed, or replaced by another of its name is noticed by the next send.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../../shared/durable.ts';
import * as z from '../../shared/zod.ts';
import type { KnownQube } from './qubes-host.ts';

const FILE = 'qubes.json';
const record = z.strictObject({ v: z.literal(1), names: z.record(z.string(), z.string()) });

/** Names by uuid. */
export type SavedQubes = ReadonlyMap<string, string>;

/** Empty if there is no record, or none that can be read: then the next send notices nothing, and makes a new one. */
export function readSavedQubes(archiveFolder: string): SavedQubes {
  try {
    return new Map(Object.entries(record.parse(JSON.parse(readFileSync(join(archiveFolder, FILE), 'utf8'))).names));
  } catch {
    return new Map();
  }
}

export function writeSavedQubes(archiveFolder: string, saved: SavedQubes): void {
  writeDurably(join(archiveFolder, FILE), `${JSON.stringify({ v: 1, names: Object.fromEntries(saved) })}\n`);
}

/** A qube that was created again from the archive continues the sessions of its name. */
export function noteRestoredQube(archiveFolder: string, name: string, uuid: string): void {
  const others = [...readSavedQubes(archiveFolder)].filter(([, saved]) => saved !== name);
  writeSavedQubes(archiveFolder, new Map([...others, [uuid, name]]));
}

export interface RenamedQube {
  readonly from: string;
  readonly to: string;
}

/** What became of the qubes of the last send. */
export interface FollowedQubes {
  readonly renamed: readonly RenamedQube[];
  /** Names of qubes that exist no more. */
  readonly gone: readonly string[];
  /** Names that another qube has now, whose sessions continue those of the former. */
  readonly replaced: readonly string[];
}

export function followQubes(saved: SavedQubes, known: ReadonlyMap<string, KnownQube>): FollowedQubes {
  const byId = new Map([...known.values()].map(({ uuid, name }) => [uuid, name]));
  const renamed: RenamedQube[] = [];
  const gone: string[] = [];
  const replaced: string[] = [];
  for (const [uuid, name] of saved) {
    if (uuid === '') continue;
    const now = byId.get(uuid);
    if (now !== undefined && now !== name) renamed.push({ from: name, to: now });
    else if (now === undefined && known.has(name)) replaced.push(name);
    else if (now === undefined) gone.push(name);
  }
  return { renamed, gone: gone.sort(), replaced: replaced.sort() };
}
