/** borg 1.x, with a local repository. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { measured, type Cost } from '../measured.ts';
import { PASSPHRASE, type Place, type Tool } from './tool.ts';

export class Borg implements Tool {
  readonly name = 'borg';
  readonly settings: string;
  /** Each transaction ends with fsync; extracted files are only written. */
  readonly durable = { send: true, restore: false };
  readonly #program: string;
  readonly #encryption: string;
  #sent = 0;

  /** @param sha256 whether SHA-256 is faster here than BLAKE2b, and so the hash to choose */
  constructor(program: string, sha256: boolean) {
    this.#program = program;
    this.#encryption = sha256 ? 'repokey' : 'repokey-blake2';
    const version = execFileSync(program, ['--version'], { encoding: 'utf8' }).trim();
    this.settings = `${version}, --encryption ${this.#encryption}, --compression zstd,1`;
  }

  async begin(place: Place): Promise<void> {
    mkdirSync(join(place.folder, 'base'), { recursive: true });
    mkdirSync(this.#target(place), { recursive: true });
    await this.#run(place, place.folder, 'init', '--encryption', this.#encryption, this.repository(place));
  }

  send(place: Place): Promise<Cost> {
    const { image, neighbour, volumes } = place.ground;
    const archive = `${this.repository(place)}::${++this.#sent}`;
    const files = [image, neighbour].map((path) => path.slice(volumes.length + 1));
    return this.#run(place, volumes, 'create', '--compression', 'zstd,1', archive, ...files);
  }

  verify(place: Place): Promise<Cost> {
    return this.#run(place, place.folder, 'check', '--verify-data', this.repository(place));
  }

  restore(place: Place): Promise<Cost> {
    const archive = `${this.repository(place)}::${this.#sent}`;
    return this.#run(place, this.#target(place), 'extract', '--sparse', archive, 'volume.img');
  }

  restored(place: Place): string {
    return join(this.#target(place), 'volume.img');
  }

  repository(place: Place): string {
    return join(place.folder, 'repository');
  }

  #target(place: Place): string {
    return join(place.folder, 'restored');
  }

  #run(place: Place, cwd: string, ...args: string[]): Promise<Cost> {
    const base = join(place.folder, 'base');
    const own = { BORG_BASE_DIR: base, BORG_PASSPHRASE: PASSPHRASE, HOME: place.home, TMPDIR: place.home };
    return measured(this.#program, args, { cwd, env: { ...process.env, ...own } });
  }
}
