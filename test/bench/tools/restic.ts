/** restic, with a local repository. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { measured, type Cost } from '../measured.ts';
import { PASSPHRASE, type Place, type Tool } from './tool.ts';

export class Restic implements Tool {
  readonly name = 'restic';
  readonly settings: string;
  /** Each file of the repository ends with fsync; restored files are only written. */
  readonly durable = { send: true, restore: false };
  readonly #program: string;
  readonly #compression: string;
  readonly #sparse: readonly string[];

  constructor(program: string) {
    this.#program = program;
    const says = (...args: string[]) => execFileSync(program, args, { encoding: 'utf8' });
    // What newer versions have; `auto` is zstd at its library's default level.
    this.#compression = says('backup', '--help').includes('fastest') ? 'fastest' : 'auto';
    this.#sparse = says('restore', '--help').includes('--sparse') ? ['--sparse'] : [];
    const version = says('version').split(' ').slice(0, 2).join(' ');
    this.settings = `${[version, ...this.#sparse].join(', ')}, --compression ${this.#compression}`;
  }

  async begin(place: Place): Promise<void> {
    mkdirSync(join(place.folder, 'cache'), { recursive: true });
    writeFileSync(join(place.folder, 'passphrase'), PASSPHRASE);
    await this.#run(place, 'init');
  }

  send(place: Place): Promise<Cost> {
    const { image, neighbour } = place.ground;
    return this.#run(place, 'backup', '--compression', this.#compression, image, neighbour);
  }

  verify(place: Place): Promise<Cost> {
    return this.#run(place, 'check', '--read-data');
  }

  restore(place: Place): Promise<Cost> {
    const { image } = place.ground;
    return this.#run(place, 'restore', 'latest', ...this.#sparse, '--include', image, '--target', this.#target(place));
  }

  restored(place: Place): string {
    return join(this.#target(place), place.ground.image);
  }

  repository(place: Place): string {
    return join(place.folder, 'repository');
  }

  #target(place: Place): string {
    return join(place.folder, 'restored');
  }

  #run(place: Place, ...args: string[]): Promise<Cost> {
    const own = {
      RESTIC_CACHE_DIR: join(place.folder, 'cache'),
      RESTIC_PASSWORD_FILE: join(place.folder, 'passphrase'),
      RESTIC_REPOSITORY: this.repository(place),
      HOME: place.home,
      TMPDIR: place.home,
    };
    return measured(this.#program, args, { env: { ...process.env, ...own } });
  }
}
