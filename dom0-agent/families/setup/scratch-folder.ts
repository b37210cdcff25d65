/** Where `setup` restores a volume to. */
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { SparsebakError, asSparsebakError } from '../../../shared/errors.ts';

/** A new folder; those of a setup that was killed are removed. @throws `usage` if it cannot be made */
export function scratchFolder(parent: string): string {
  try {
    for (const name of readdirSync(parent)) {
      const [, pid] = /^sparsebak-restored-(\d+)-\w+$/.exec(name) ?? [];
      if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
      const path = join(parent, name);
      const { uid } = lstatSync(path);
      if (uid === process.getuid?.()) rmSync(path, { recursive: true, force: true });
    }
    return mkdtempSync(join(parent, `sparsebak-restored-${process.pid}-`));
  } catch (caught) {
    throw new SparsebakError('usage', `nothing can be restored to ${parent}: ${asSparsebakError(caught).message}`, {
      hint: 'Run "sparsebak setup" again with --scratch, a folder that has room for the smallest volume.',
      cause: caught,
    });
  }
}
