/** Who has a regular file open, as far as the kernel shows: processes, and loop devices. */
import { readdir, readFile, realpath, stat } from 'node:fs/promises';

export async function findFileUser(path: string): Promise<string | undefined> {
  const { dev, ino } = await stat(path, { bigint: true });
  for (const pid of await entries('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of await entries(`/proc/${pid}/fd`)) {
      const stats = await stat(`/proc/${pid}/fd/${fd}`, { bigint: true }).catch(() => undefined);
      if (stats?.isFile() !== true || stats.dev !== dev || stats.ino !== ino) continue;
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'gone');
      return `process ${pid} (${name.trim()}) has it open`;
    }
  }
  const real = await realpath(path);
  for (const loop of await entries('/sys/block')) {
    const backing = await readFile(`/sys/block/${loop}/loop/backing_file`, 'utf8').catch(() => '');
    if (backing.trimEnd() === real) return `/dev/${loop} is on it`;
  }
  return undefined;
}

/** What goes away while we look has nothing open. */
async function entries(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}
