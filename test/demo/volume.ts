// A volume with a real file system in it, and changes inside. Root mounts it; anybody else writes by debugfs.

import { cpSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Commands } from './command.ts';

/** Everything in it is initialised at once, so that the kernel has nothing to catch up on when it is mounted. */
const MKFS = ['-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0'];

/** Packages of this clone as documents, and something that nothing compresses, as most of what people have. */
export function makeContent(folder: string, modules: string): void {
  for (const name of ['typescript', 'prettier', 'zod'])
    cpSync(join(modules, name), join(folder, name), { recursive: true });
  mkdirSync(join(folder, 'photos'));
  for (let number = 1; number <= 20; number++) {
    writeFileSync(join(folder, 'photos', `${String(number)}.jpg`), randomBytes(2 * 2 ** 20));
  }
}

export async function makeVolume(commands: Commands, path: string, size: number, content: string): Promise<void> {
  writeFileSync(path, '');
  truncateSync(path, size);
  await commands.quiet('mkfs.ext4', [...MKFS, '-d', content, path]);
}

export class Guest {
  readonly #commands: Commands;
  readonly #volume: string;
  readonly #folder: string;
  readonly #mounts: boolean;

  /** @param folder for a mount point and for what is copied in */
  constructor(commands: Commands, volume: string, folder: string, mounts: boolean) {
    this.#commands = commands;
    this.#volume = volume;
    this.#folder = folder;
    this.#mounts = mounts;
  }

  /** A new file of so many bytes that nothing compresses, and another one less. */
  async change(name: string, bytes: number, gone: string): Promise<void> {
    const file = join(this.#folder, name);
    writeFileSync(file, randomBytes(bytes));
    if (this.#mounts) await this.#byMount(file, name, gone);
    else await this.#byDebugfs(file, name, gone);
  }

  async #byMount(file: string, name: string, gone: string): Promise<void> {
    const inside = join(this.#folder, 'mnt');
    mkdirSync(inside, { recursive: true });
    await this.#commands.quiet('mount', ['-o', 'loop', this.#volume, inside]);
    await this.#commands.quiet('cp', [file, join(inside, name)]);
    await this.#commands.quiet('rm', [join(inside, gone)]);
    await this.#commands.quiet('umount', [inside]);
  }

  async #byDebugfs(file: string, name: string, gone: string): Promise<void> {
    await this.#commands.quiet('debugfs', ['-w', '-R', `write ${file} ${name}`, this.#volume]);
    await this.#commands.quiet('debugfs', ['-w', '-R', `rm ${gone}`, this.#volume]);
  }
}
