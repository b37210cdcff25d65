// The guest's kernel and disk: built once for each state of what goes into it, and kept under node_modules/.cache.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { DebianPackages } from './debian.ts';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../..');
const cache = join(root, 'node_modules/.cache/sparsebak-guest');
const SCRIPTS = ['build-image.sh', 'initrd-init.sh', 'init.sh', 'lvm.conf'];
/** Whose programs are copied. */
const PACKAGES = ['lvm2', 'dmsetup', 'thin-provisioning-tools', 'e2fsprogs', 'util-linux', 'coreutils', 'libc6'];

export interface GuestImage {
  readonly kernel: string;
  readonly initrd: string;
  readonly disk: string;
  /** Whether the thin tools 1.x are in it, beside this machine's. */
  readonly hasNewerThinTools: boolean;
}

export const debianPackages = new DebianPackages(join(cache, 'packages'));

export async function guestImage(): Promise<GuestImage> {
  const kernel = await debianPackages.kernel();
  const busybox = await debianPackages.file('busybox-static');
  const udev = await debianPackages.file('udev');
  // Of the same release as udev, which this machine's need not be.
  const shared = await debianPackages.file('libsystemd-shared');
  const tools = await debianPackages.newerThinTools();
  const node = realpathSync(join(root, 'node_modules/.bin/node'));
  const debs = [kernel, busybox, udev, shared, ...(tools === undefined ? [] : [tools])];
  const folder = join(cache, `image-${await keyOf(node, debs)}`);
  if (!existsSync(folder))
    await build(folder, [kernel, busybox, udev, shared, node, ...(tools === undefined ? [] : [tools])]);
  return {
    kernel: join(folder, 'vmlinuz'),
    initrd: join(folder, 'initrd.cpio'),
    disk: join(folder, 'root.ext4'),
    hasNewerThinTools: tools !== undefined,
  };
}

async function keyOf(node: string, debs: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  for (const script of SCRIPTS) hash.update(readFileSync(join(here, script)));
  for (const deb of debs) hash.update(`${basename(deb)}\n`);
  const { size, mtimeMs } = statSync(node);
  hash.update(`${node} ${size} ${mtimeMs}\n`);
  const { stdout } = await run('dpkg-query', ['--show', ...PACKAGES]);
  return hash.update(stdout).digest('hex').slice(0, 16);
}

/** Another run may be building the same: whoever is first is right. */
async function build(folder: string, inputs: readonly string[]): Promise<void> {
  const draft = `${folder}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  try {
    await run(join(here, 'build-image.sh'), [draft, ...inputs], { maxBuffer: 16 * 1024 * 1024 });
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
}
