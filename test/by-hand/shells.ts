// A PATH with coreutils, gzip and one shell in it, and nothing else.

import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/** Those of coreutils that a page about files can want; whatever is not here is not found. */
const COREUTILS =
  'basename cat chmod cp cut dd df dirname du echo expr false fold head join link ln ls mkdir mktemp mv nl numfmt od paste printf readlink realpath rm rmdir seq sha256sum sort split stat sync tac tail tee test touch tr true truncate uniq wc'.split(
    ' ',
  );

const FOLDERS = ['/usr/bin', '/bin'];

export function findProgram(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** @param extra programs that are there besides */
export function makePath(folder: string, shell: string, extra: readonly string[]): string {
  mkdirSync(folder, { recursive: true });
  for (const name of [...COREUTILS, 'gzip', ...extra]) {
    const program = findProgram(name);
    if (program === undefined) throw new Error(`there is no ${name} here`);
    symlinkSync(program, join(folder, name));
  }
  const program = findProgram(shell);
  if (program === undefined) throw new Error(`there is no ${shell} here`);
  symlinkSync(program, join(folder, 'sh'));
  return folder;
}
