/**
 * Finds the owner of an image with several names. While an app qube is running, Qubes gives it a hard link to its
 * template's `root.img`, and to a disposable also one to its template's `private.img`. These links exist only while the
 * qube is running and are not volumes; only the template's own name is. The file system does not show which name is the
 * first, so other traces decide.
 */
import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { OpenPool } from './open-pool.ts';
import { walkPool } from './pool-walk.ts';
import { dirtyName, isSavedBeside, qubesImage } from './qubes-images.ts';

export type Ownership =
  | { readonly kind: 'own' }
  /** A hard link that Qubes made for a running qube. */
  | { readonly kind: 'borrowed'; readonly from: string | undefined }
  | { readonly kind: 'unclear'; readonly with: readonly string[] };

interface Member {
  readonly volume: string;
  /** A running qube writes to a file beside it. */
  readonly inUse: boolean;
  /** It does not exist under its own name: a running qube has it under the dirty image's name. */
  readonly renamed: boolean;
}

/** @returns the volumes whose image has more than one name */
export async function sharedImages(pool: OpenPool, volumes: Iterable<string>): Promise<ReadonlyMap<string, Ownership>> {
  const shared: { volume: string; inode: string }[] = [];
  for (const volume of volumes) {
    if (qubesImage(volume)?.role !== 'volume') continue;
    const { inode, links } = await inodeOf(pool.root.in(volume));
    if (inode !== undefined && links > 1) shared.push({ volume, inode });
  }
  if (shared.length === 0) return new Map();
  const { names } = await walkPool(pool, () => true);
  const all = new Set(names);
  const groups = await groupsOf(pool, all);
  const root = await realpath(pool.root.path);
  return new Map(
    shared.map(({ volume, inode }) => [volume, ownershipOf(volume, groups.get(inode) ?? [], all, root)] as const),
  );
}

async function groupsOf(pool: OpenPool, all: ReadonlySet<string>): Promise<Map<string, Member[]>> {
  const groups = new Map<string, Member[]>();
  for (const name of all) {
    const image = qubesImage(name);
    if (image === undefined || image.role === 'working') continue;
    const renamed = image.role === 'dirty';
    const { inode } = await inodeOf(pool.root.in(name));
    // A dirty image of its own, beside the volume's image, is another file.
    if (inode === undefined || (renamed && all.has(image.volume))) continue;
    const inUse = !renamed && all.has(dirtyName(image.volume) ?? '');
    groups.set(inode, [...(groups.get(inode) ?? []), { volume: image.volume, inUse, renamed }]);
  }
  return groups;
}

function ownershipOf(volume: string, members: readonly Member[], all: ReadonlySet<string>, root: string): Ownership {
  const owners = ownersOf(members, all, root);
  if (owners === 'unclear') {
    return { kind: 'unclear', with: members.map((each) => each.volume).filter((name) => name !== volume) };
  }
  return owners.includes(volume) ? { kind: 'own' } : { kind: 'borrowed', from: owners[0] };
}

/** The first trace that decides. Only a `private.img` is borrowed from an app qube. */
function ownersOf(members: readonly Member[], all: ReadonlySet<string>, root: string): readonly string[] | 'unclear' {
  const folderOf = ({ volume }: Member): string => basename(dirname(dirname(join(root, volume))));
  const traces: readonly ((member: Member) => boolean)[] = [
    ({ renamed }) => renamed,
    (member) => folderOf(member) === 'vm-templates',
    ({ volume }) => [...all].some((name) => isSavedBeside(name, volume)),
    ({ inUse }) => !inUse,
  ];
  for (const isOwner of traces) {
    const owners = members.filter(isOwner).map(({ volume }) => volume);
    if (owners.length > 0) return owners;
  }
  const outside = members.every((member) => basename(member.volume) === 'root.img' && folderOf(member) === 'appvms');
  return outside ? [] : 'unclear';
}

async function inodeOf(path: string): Promise<{ readonly inode: string | undefined; readonly links: number }> {
  const stats = await lstat(path, { bigint: true }).catch(() => undefined);
  if (stats?.isFile() !== true) return { inode: undefined, links: 0 };
  return { inode: `${stats.dev}:${stats.ino}`, links: Number(stats.nlink) };
}
