/** A file that the user names, for a command to create. */
import { writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Held } from '../source/held-file.ts';
import { openFolder } from '../source/walk.ts';
import { givenPath } from './working-folder.ts';

/**
 * Holds the file's folder open meanwhile: it may belong to another user, who could exchange it.
 * @throws `usage` if there is no such folder
 */
export async function inFolderOf<T>(path: string, work: (folder: Held) => T): Promise<T> {
  const folder = await openFolder(dirname(givenPath(path)), 'usage');
  try {
    return work(folder);
  } finally {
    folder.close();
  }
}

/** All of the text: a single write may take a part of it. */
export function writeAllOf(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
}
