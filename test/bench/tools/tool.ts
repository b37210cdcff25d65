/** What is compared: a program that saves an image, and gives it back. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Ground } from '../ground.ts';
import { type Cost } from '../measured.ts';

/** What one tool has for itself in one run. */
export interface Place {
  readonly ground: Ground;
  /** For its archive, caches, settings and restored files. */
  readonly folder: string;
  /** A home folder, so that nothing is left in the user's. */
  readonly home: string;
}

export interface Tool {
  /** In the table. */
  readonly name: string;
  /** Version and settings, for a reader of the table. */
  readonly settings: string;
  /** Which of its operations end only when everything is on the disk; the others get a flush that counts. */
  readonly durable: { readonly send: boolean; readonly restore: boolean };
  /** Makes the archive; not measured. */
  readonly begin: (place: Place) => Promise<void>;
  readonly send: (place: Place, how: 'full' | 'incremental') => Promise<Cost>;
  /** Reads and checks all data of the newest session at least. */
  readonly verify: (place: Place) => Promise<Cost>;
  /** Restores the image as a new file, `restored`. */
  readonly restore: (place: Place) => Promise<Cost>;
  readonly restored: (place: Place) => string;
  /** The archive alone, without caches and the like. */
  readonly repository: (place: Place) => string;
  /** Ends what the tool may have left running; not measured. */
  readonly end?: (place: Place) => Promise<void>;
}

/** The passphrase of every archive. */
export const PASSPHRASE = 'bench';

/** @returns a program's path, or undefined if no folder of the search path has it */
export function programPath(program: string, searchPath = process.env.PATH ?? ''): string | undefined {
  const folders = searchPath.split(':').filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}
