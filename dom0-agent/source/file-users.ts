/** Who uses a regular file, as far as the kernel shows: processes, loop devices, and a qube whose volume it is. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirtyName, importName } from './qubes-images.ts';
import { isSameFile, type FileIdentity, type Held } from './held.ts';

/**
 * Why a volume's file must not be put aside now, or undefined.
 * @param folder the folder that it lies in
 */
export async function findUse(folder: Held, name: string, file: FileIdentity): Promise<string | undefined> {
  return findQubesUse(folder, name) ?? (await findFileUser(file));
}

/**
 * What Qubes does with the volume of this name, be the file there or not: a running qube writes to the file beside it,
 * which takes its place when the qube stops, and so does an import's when that ends.
 */
export function findQubesUse(folder: Held, name: string): string | undefined {
  const dirty = dirtyName(name);
  if (dirty === undefined) return undefined;
  if (folder.look(dirty) !== undefined) return 'its qube runs';
  const importing = importName(name);
  return folder.look(importing) === undefined ? undefined : `Qubes is importing it: ${importing} lies beside it`;
}

async function findFileUser(file: FileIdentity): Promise<string | undefined> {
  for (const pid of await entries('/proc')) {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) continue;
    for (const fd of await entries(`/proc/${pid}/fd`)) {
      if (!(await leadsTo(`/proc/${pid}/fd/${fd}`, file))) continue;
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'gone');
      return `process ${pid} (${name.trim()}) has it open`;
    }
  }
  for (const loop of await entries('/sys/block')) {
    const backing = await readFile(`/sys/block/${loop}/loop/backing_file`, 'utf8').catch(() => '');
    if (backing !== '' && (await leadsTo(backing.replace(/\n$/, ''), file))) return `/dev/${loop} is on it`;
  }
  return undefined;
}

async function leadsTo(path: string, file: FileIdentity): Promise<boolean> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  return stats?.isFile() === true && isSameFile(stats, file);
}

/** What goes away while we look has nothing open. */
async function entries(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}
