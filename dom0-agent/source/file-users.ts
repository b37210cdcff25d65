/**
 * The users of a regular file, as far as the kernel shows: processes, loop devices, and the qube to which the volume
 * belongs.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirtyName, importName } from './qubes-images.ts';
import { isSameFile, type FileIdentity, type Held } from './held-file.ts';

/**
 * Why a volume's file must not be replaced now, or undefined.
 * @param folder the file's folder
 */
export async function findUse(folder: Held, name: string, file: FileIdentity): Promise<string | undefined> {
  return findQubesUse(folder, name) ?? (await findFileUser(file));
}

/**
 * Whether Qubes uses the volume of this name, also if its file does not exist: a running qube writes to a file beside
 * it, which replaces it when the qube stops, and so does an import's when that ends.
 */
export function findQubesUse(folder: Held, name: string): string | undefined {
  const dirty = dirtyName(name);
  if (dirty === undefined) return undefined;
  if (folder.look(dirty) !== undefined) return 'its qube is running';
  const importing = importName(name);
  return folder.look(importing) === undefined ? undefined : `Qubes is importing it: ${importing} is beside it`;
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

/** A process that ends meanwhile has nothing open. */
async function entries(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}
