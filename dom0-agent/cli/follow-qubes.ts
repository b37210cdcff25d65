/**
 * Before a send: what became of the qubes of the last one. A renamed qube keeps its history, since its volumes in the
 * archive are renamed, too; one that is gone is told once.
 */
import { qubesHostOf, type Pool } from '../capture/pools.ts';
import type { SkippedEntry } from '../capture/look-at-pool.ts';
import type { Selection } from '../capture/selection.ts';
import { renameEntry } from '../maintain/volumes.ts';
import { withWriter } from '../maintain/with-writer.ts';
import type { ArchiveState } from '../proven-archive/archive-state.ts';
import { Pin } from '../proven-archive/pin.ts';
import {
  followQubes,
  readSavedQubes,
  writeSavedQubes,
  type FollowedQubes,
  type RenamedQube,
} from '../qubes/known-qubes.ts';
import { archiveName, parseArchiveName } from '../qubes/names.ts';
import type { CommandContext } from './command-context.ts';
import { writerOptions } from './writer-options.ts';

/** undefined: no qubes are saved here, or qubesd does not answer, which the selection reports. */
export async function lookForChangedQubes(
  pools: readonly Pool[],
  { folder }: ArchiveState,
): Promise<FollowedQubes | undefined> {
  const host = qubesHostOf(pools);
  if (host === undefined) return undefined;
  try {
    return followQubes(readSavedQubes(folder), await host.look());
  } catch {
    return undefined;
  }
}

/** Gives the volumes of renamed qubes their new names in the archive. */
export async function renameInArchive(
  context: CommandContext,
  state: ArchiveState,
  renamed: readonly RenamedQube[],
): Promise<void> {
  const { possible, taken } = inPossibleOrder(renamed, activeNames(state));
  for (const { from, to } of taken) {
    context.log.warn(`${from} keeps its name in the archive: there is a ${to} already`);
  }
  if (possible.length === 0) return;
  await withWriter(writerOptions(context), async (writer) => {
    for (const { from, to } of possible) {
      const stayed = await renameEntry(writer, from, to);
      if (stayed !== undefined) context.log.warn(`the record of changes was not renamed: ${stayed.message}`);
    }
  });
  const done = new Set(possible.map(({ from }) => parseArchiveName(from)?.qube));
  for (const { from, to } of renamed) {
    if (done.has(from)) context.log.warn(`the qube ${from} is called ${to} now: renamed in the archive`);
  }
}

/** A name may become free only when the volume that has it is renamed. */
export function inPossibleOrder(
  renamed: readonly RenamedQube[],
  archived: readonly string[],
): { readonly possible: readonly RenamedQube[]; readonly taken: readonly RenamedQube[] } {
  const names = new Set(archived);
  let taken = renamed.flatMap(({ from, to }) =>
    archived.flatMap((name) => {
      const parsed = parseArchiveName(name);
      return parsed?.qube === from ? [{ from: name, to: archiveName(to, parsed.volume) }] : [];
    }),
  );
  const possible: RenamedQube[] = [];
  for (;;) {
    const next = taken.find(({ to }) => !names.has(to));
    if (next === undefined) return { possible, taken };
    names.delete(next.from);
    names.add(next.to);
    possible.push(next);
    taken = taken.filter((each) => each !== next);
  }
}

function activeNames(state: ArchiveState): string[] {
  const volumes = new Pin(state).current?.catalogue.volumes ?? [];
  return volumes.filter((volume) => volume.state === 'active').map(({ name }) => name);
}

/** What is said of qubes that are gone, and of those that took the name of another. */
export function changedEntries({ gone, replaced }: FollowedQubes): SkippedEntry[] {
  return [
    ...gone.map((name): SkippedEntry => ({
      name,
      kind: 'skipped',
      error: {
        code: 'not-found',
        message: 'the qube was removed; its sessions stay in the archive',
        hint: `This is said once. "sparsebak qube restore ${name}" brings it back.`,
      },
    })),
    ...replaced.map((name): SkippedEntry => ({
      name,
      kind: 'skipped',
      error: {
        code: 'replaced',
        message: 'another qube has this name now; its sessions continue those of the former',
        hint: `This is said once. The former qube: sparsebak qube show ${name} --session S.`,
      },
    })),
  ];
}

/** Notes the qubes of a send, by what was selected. @param isAll the send had all that the configuration selects */
export function noteSavedQubes(
  pools: readonly Pool[],
  { folder }: ArchiveState,
  { volumes }: Selection,
  isAll: boolean,
): void {
  const host = qubesHostOf(pools);
  if (host?.known === undefined) return;
  const { known } = host;
  const before = readSavedQubes(folder);
  // One that is gone stays in the record until a send has told it.
  const kept = isAll ? [] : [...before].filter(([uuid]) => ![...known.values()].some((qube) => qube.uuid === uuid));
  const sent = new Set(volumes.map(({ volume }) => parseArchiveName(volume)?.qube));
  const now = [...known.values()]
    .filter(({ uuid, name }) => sent.has(name) || before.has(uuid))
    .map(({ uuid, name }) => [uuid, name] as const);
  writeSavedQubes(folder, new Map([...kept, ...now]));
}
