// A whole system in which packages are really installed: this machine's own, with every change in memory (overlayfs).
// So dpkg and rpm run as they do on a host, with their databases and the packages' scripts. Needs root.

import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { loopFsSkip } from '../fixtures/loop-fs.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Devices that programs need; a device file in the overlay, since nothing of the machine's /dev may be removed. */
const DEVICES = { null: 3, zero: 5, random: 8, urandom: 9 };

/** The value for node:test's `skip`: false, or why no such system can be had here. */
export function scratchSystemSkip(): string | false {
  const noMounts = loopFsSkip('ext4');
  if (noMounts !== false) return noMounts;
  spawnSync('modprobe', ['overlay']);
  if (!/\boverlay$/m.test(readFileSync('/proc/filesystems', 'utf8'))) return 'machine: the kernel has no overlayfs';
  return existsSync('/etc/debian_version') ? false : 'machine: not Debian';
}

export class ScratchSystem {
  readonly #scratch: string;
  /** Where its / is. */
  readonly root: string;
  /** No folder of this machine's Node is in it. */
  readonly path = '/usr/sbin:/usr/bin:/sbin:/bin';

  constructor() {
    this.#scratch = makeScratch('system');
    const layers = join(this.#scratch, 'layers');
    this.root = join(this.#scratch, 'root');
    for (const folder of [layers, this.root]) mkdirSync(folder);
    mount('tmpfs', 'mode=755', layers);
    const [upper, work] = [join(layers, 'upper'), join(layers, 'work')];
    for (const folder of [upper, work]) mkdirSync(folder);
    mount('overlay', `lowerdir=/,upperdir=${upper},workdir=${work}`, this.root);
    mount('proc', 'nosuid', join(this.root, 'proc'));
    mount('tmpfs', 'mode=755', join(this.root, 'dev'));
    for (const [name, minor] of Object.entries(DEVICES)) {
      must(spawnSync('mknod', ['-m', '666', join(this.root, 'dev', name), 'c', '1', String(minor)]));
    }
    mount('tmpfs', 'mode=1777', join(this.root, 'tmp'));
    // Neither a Node of this machine, nor anything that it has of sparsebak.
    for (const name of ['node', 'nodejs']) this.remove(`/usr/bin/${name}`);
    for (const name of ['/etc/sparsebak', '/var/lib/sparsebak', '/var/cache/sparsebak']) this.remove(name);
  }

  end(): void {
    removeScratch(this.#scratch);
  }

  /** Runs a program in it, by its path or by name. */
  run(command: string, args: readonly string[] = [], env: Record<string, string> = {}): Ran {
    const result = spawnSync('/usr/sbin/chroot', [this.root, command, ...args], {
      encoding: 'utf8',
      env: { PATH: this.path, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive', ...env },
      maxBuffer: 2 ** 26,
    });
    if (result.error !== undefined) throw result.error;
    return result;
  }

  /** The same; what it wrote to standard output. @throws unless it succeeds */
  succeed(command: string, ...args: string[]): string {
    return must(this.run(command, args)).stdout;
  }

  /** Copies files of this machine into its /tmp; returns their paths there. */
  bring(...files: string[]): string[] {
    return files.map((path) => {
      const place = `/tmp/${path.slice(path.lastIndexOf('/') + 1)}`;
      must(spawnSync('cp', [path, join(this.root, place)]));
      return place;
    });
  }

  write(path: string, content: string | Uint8Array, mode = 0o644): void {
    mkdirSync(join(this.root, dirname(path)), { recursive: true });
    writeFileSync(join(this.root, path), content, { mode });
  }

  read(path: string): Buffer {
    return readFileSync(join(this.root, path));
  }

  has(path: string): boolean {
    return lstatSync(join(this.root, path), { throwIfNoEntry: false }) !== undefined;
  }

  stat(path: string): { mode: string; owner: string } {
    const { mode, uid, gid } = statSync(join(this.root, path));
    return { mode: (mode & 0o7777).toString(8), owner: `${String(uid)}:${String(gid)}` };
  }

  remove(path: string): void {
    rmSync(join(this.root, path), { recursive: true, force: true });
  }
}

function mount(type: string, options: string, place: string): void {
  must(spawnSync('mount', ['-t', type, '-o', options, 'none', place]));
}

function must<T extends { status: number | null; stderr: string | Buffer; stdout: string | Buffer }>(result: T): T {
  if (result.status === 0) return result;
  throw new Error(`status ${String(result.status)}: ${String(result.stderr)}${String(result.stdout)}`);
}
