/**
 * Commands that the core does not have. Each is in a bundle of its own beside the core's, `sparsebak-<command>.cjs`,
 * which is loaded by its command alone: dom0 may leave it out, and then trusts none of its code.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SparsebakError } from '../../shared/errors.ts';

/** What such a bundle exports: a command with its subcommands. */
export interface Family {
  /**
   * Runs one command line.
   * @param args with the command and all global options, without the program's name
   * @returns the exit status
   */
  readonly run: (args: readonly string[], signal: AbortSignal) => Promise<number>;
}

/** Those that this release has, with the lines of the help. */
export const FAMILIES: Readonly<Record<string, string>> = {
  config: 'check the configuration, or show a complete example',
  doctor: 'check everything that backups need, and say what to do',
  qube: 'show and restore whole qubes: volumes and settings together',
  report: 'write a page that shows all sessions, growth, proofs, and what is overdue',
  setup: 'first steps: configuration, archive, first send, proven restore, timers',
};

export function isFamily(command: string): boolean {
  return Object.hasOwn(FAMILIES, command);
}

const COMMAND = /^[a-z][a-z-]{0,30}$/;

/**
 * The family that has this command, if it is installed.
 * @throws SparsebakError `failed` if the file is not a family's bundle
 */
export async function loadFamily(command: string): Promise<Family | undefined> {
  if (!COMMAND.test(command)) return undefined;
  // The same folder as the core: whoever can write there needs no family to run code.
  const path = join(dirname(fileURLToPath(import.meta.url)), `sparsebak-${command}.cjs`);
  if (!existsSync(path)) return undefined;
  const family = ((await import(pathToFileURL(path).href)) as { default: unknown }).default;
  if (!hasCommands(family)) {
    throw new SparsebakError('failed', `${path} has no commands of sparsebak`, {
      hint: 'Install the files of one release of sparsebak, and no others, in one folder.',
    });
  }
  return family;
}

/** @throws SparsebakError `usage`: what to install */
export function refuseMissingFamily(command: string): never {
  throw new SparsebakError('usage', `the command "${command}" is not installed: there is no sparsebak-${command}.cjs`, {
    hint: `Put the file sparsebak-${command}.cjs of this release beside sparsebak.js.`,
  });
}

function hasCommands(value: unknown): value is Family {
  return typeof value === 'object' && value !== null && 'run' in value && typeof value.run === 'function';
}
