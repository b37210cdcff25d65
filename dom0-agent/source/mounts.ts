/** What is mounted where, and what should be mounted. */
import { readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';

export interface Mount {
  /** `major:minor` of the file system. */
  readonly device: string;
  /** The folder of the file system that is mounted. */
  readonly root: string;
  readonly point: string;
}

/** A later one covers an earlier one at the same point. */
export async function readMounts(): Promise<Mount[]> {
  return parseMounts(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''));
}

/** proc(5): `36 35 98:0 /root /point options …` */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [, , device, root, point] = line.split(' ');
    if (device === undefined || root === undefined || point === undefined) return [];
    return [{ device, root: unescaped(root), point: unescaped(point) }];
  });
}

/**
 * The mount point of fstab(5) above this folder at which nothing is mounted: then the folder exists, but its content
 * does not.
 */
export async function unmountedPoint(folder: string): Promise<string | undefined> {
  const fstab = await readFile('/etc/fstab', 'utf8').catch(() => '');
  return fstab === '' ? undefined : findUnmounted(await realPath(folder), fstab, await readMounts());
}

export function findUnmounted(folder: string, fstab: string, mounts: readonly Mount[]): string | undefined {
  const wanted = fstab
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([device = '', point = '']) => !device.startsWith('#') && point.startsWith('/'))
    .map(([, point = '']) => join('/', unescaped(point)).replace(/(?<=.)\/$/, ''));
  return wanted.find((point) => isWithin(point, folder) && !mounts.some((mount) => mount.point === point));
}

/** Whether the path is the folder, or below it. */
export function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith('../');
}

/** Resolves symbolic links in the existing part of the path. */
export async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const above = dirname(path);
    return above === path ? path : join(await realPath(above), basename(path));
  }
}

/** Blanks and the like are written as three octal digits. */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
}
