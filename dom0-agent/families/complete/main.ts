/**
 * `complete`: what a shell asks for while the user types (dist/completion). It reads this computer's own records, asks
 * no receiver, takes no lock and writes nothing. A failure is an empty answer, since the user is typing another
 * command.
 */
import { resolve } from 'node:path';
import { writeAll } from '../../../shared/terminal/write-all.ts';
import { movedGlobals } from '../../cli/moved-globals.ts';
import { chooseArchive, readConfig, DEFAULT_CONFIG } from '../../config/config.ts';
import { ArchiveState } from '../../proven-archive/archive-state.ts';
import { knownSessions, knownTags, knownVolumes } from './known-names.ts';

/**
 * @param args `complete KIND [VOLUME [SESSION]]`, with the global options of the command line that is being typed
 * @returns 0, or 1 if nothing is known
 */
export function run(args: readonly string[]): Promise<number> {
  try {
    const names = namesFor(args);
    writeAll(1, [...new Set(names)].map((name) => `${name}\0`).join(''));
    return Promise.resolve(0);
  } catch {
    return Promise.resolve(1);
  }
}

function namesFor(args: readonly string[]): readonly string[] {
  const moved = movedGlobals(args);
  const at = moved.indexOf('complete');
  const option = (name: string) => valueOf(moved.slice(0, at), name);
  const [kind, volume, session] = moved.slice(at + 1).filter((word) => word !== '--');
  const config = readConfig(resolve(option('--config') ?? DEFAULT_CONFIG));
  if (kind === 'archives') return config.archives.map(({ name }) => name);
  if (kind === 'pools') return config.pools.map(({ name }) => name);
  const state = ArchiveState.open(config.stateDir, chooseArchive(config, option('--archive')).name);
  if (kind === 'volumes') return knownVolumes(state);
  if (kind === 'sessions') return knownSessions(state, volume);
  return kind === 'tags' ? knownTags(state, volume, session) : [];
}

/** Of a global option; the last one counts. */
function valueOf(words: readonly string[], name: string): string | undefined {
  const values = words.flatMap((word, at) => {
    if (word === name) return words[at + 1] ?? [];
    return word.startsWith(`${name}=`) ? word.slice(name.length + 1) : [];
  });
  return values.at(-1);
}
