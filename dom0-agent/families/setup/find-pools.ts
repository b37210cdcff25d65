/** Where this computer has volumes: thin pools of LVM, and the usual folders of disk images. */
import { existsSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { SparsebakError } from '../../../shared/errors.ts';
import { runProgram } from '../../process/run-program.ts';
import { isLvName } from '../../source/lvm-thin/lvm-names.ts';
import { fileSystemOf } from '../../source/file-system.ts';

export type FoundPool = {
  /** In the configuration. */
  readonly name: string;
  /** For people. */
  readonly about: string;
  readonly volumes: readonly string[];
} & (
  | { readonly type: 'reflink' | 'file'; readonly path: string }
  | { readonly type: 'lvm-thin'; readonly vgname: string; readonly poolname: string }
);

/** dom0 of Qubes has this file. */
export function isQubes(): boolean {
  return existsSync('/etc/qubes-release');
}

const FOLDERS = ['/var/lib/libvirt/images', '/var/lib/machines', '/var/lib/vz/images'];

export async function findPools(): Promise<FoundPool[]> {
  const folders = [];
  for (const path of FOLDERS) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) folders.push(await folderPool(path));
  }
  return [...(await thinPools()), ...folders];
}

async function folderPool(path: string): Promise<FoundPool> {
  const type = (await isReflink(path)) ? 'reflink' : 'file';
  return { name: nameOf(basename(path)), about: `${path} (${type})`, volumes: ['*'], type, path };
}

async function isReflink(path: string): Promise<boolean> {
  try {
    return ['btrfs', 'xfs'].includes((await fileSystemOf(path)).type);
  } catch {
    return false;
  }
}

/** Empty where there is no LVM, or this user may not ask it. */
async function thinPools(): Promise<FoundPool[]> {
  let text: string;
  try {
    const args = ['--noheadings', '--separator=/', '--options=vg_name,lv_name', '--select=segtype=thin-pool'];
    text = await runProgram('lvs', args);
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    const [vgname = '', poolname = ''] = line.trim().split('/');
    return isLvName(vgname) && isLvName(poolname) ? [thinPool(vgname, poolname)] : [];
  });
}

function thinPool(vgname: string, poolname: string): FoundPool {
  const volumes = isQubes() ? ['vm-*-private'] : ['*'];
  return {
    name: nameOf(poolname),
    about: `${vgname}/${poolname} (lvm-thin)`,
    volumes,
    type: 'lvm-thin',
    vgname,
    poolname,
  };
}

function nameOf(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(0, 64) || 'main';
}

/** `reflink:/folder`, `file:/folder`, `lvm-thin:VG/POOL`. @throws `usage` */
export function parsePool(text: string): FoundPool {
  const folder = /^(reflink|file):(\/.*)$/.exec(text);
  if (folder?.[2] !== undefined) {
    const [, type, path] = folder;
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new SparsebakError('usage', `there is no folder ${path}`, { hint: 'Give the folder that has the images.' });
    }
    const name = nameOf(basename(path));
    const volumes = isQubes() && path === '/var/lib/qubes' ? ['appvms/*/private.img'] : ['*'];
    return { name, about: `${path} (${type ?? ''})`, volumes, type: type as 'reflink' | 'file', path };
  }
  const [, vgname = '', poolname = ''] = /^lvm-thin:([^/]+)\/([^/]+)$/.exec(text) ?? [];
  if (isLvName(vgname) && isLvName(poolname)) return thinPool(vgname, poolname);
  throw new SparsebakError('usage', `"${text}" is not a pool`, {
    hint: 'Write "reflink:/folder", "file:/folder" or "lvm-thin:VG/POOL".',
  });
}
