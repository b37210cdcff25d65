/** sparsebak, through its built programs and a local receiver. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { measured, type Cost } from '../measured.ts';
import { PASSPHRASE, type Place, type Tool } from './tool.ts';

/** The built programs of these sources. */
export const OWN_DIST = fileURLToPath(new URL('../../../dist', import.meta.url));

export class Ours implements Tool {
  readonly name: string;
  readonly settings: string;
  readonly durable = { send: true, restore: true };
  readonly #agent: string;

  constructor(name: string, settings: string, dist = OWN_DIST) {
    this.name = name;
    this.settings = settings;
    this.#agent = join(dist, 'sparsebak.js');
  }

  /** @param options more options of `init` */
  async begin(place: Place, options: readonly string[] = []): Promise<void> {
    const { folder, ground } = place;
    mkdirSync(this.repository(place), { recursive: true });
    writeFileSync(join(folder, 'passphrase'), `${PASSPHRASE}\n`);
    const lines = [
      `destination = "local:${this.repository(place)}"`,
      'archive = "bench"',
      `state_dir = "${join(folder, 'state')}"`,
      '[pool.main]',
      'type = "reflink"',
      `path = "${ground.volumes}"`,
      'volumes = ["*.img"]',
    ];
    writeFileSync(join(folder, 'sparsebak.toml'), lines.join('\n'));
    await this.run(place, 'init', '--passphrase-file', join(folder, 'passphrase'), ...options);
  }

  /** Any command. */
  run(place: Place, ...args: string[]): Promise<Cost> {
    return this.#start(place, '--config', join(place.folder, 'sparsebak.toml'), '--json', ...args);
  }

  /** A command of the receiver, on the same archive. */
  receiver(place: Place, command: string): Promise<Cost> {
    const program = join(dirname(this.#agent), 'sparsebak-receiver.js');
    return measured(process.execPath, [program, '--root', this.repository(place), command], { env: this.#env(place) });
  }

  version(place: Place): Promise<Cost> {
    return this.#start(place, '--version');
  }

  /** Started as the first line of the program says, with a cache of compiled code as each installation has one. */
  #start(place: Place, ...args: string[]): Promise<Cost> {
    const command = ['--disallow-code-generation-from-strings', this.#agent, ...args];
    return measured(process.execPath, command, { env: this.#env(place) });
  }

  #env(place: Place): NodeJS.ProcessEnv {
    return { ...process.env, HOME: place.home, NODE_COMPILE_CACHE: join(place.home, 'compiled') };
  }

  send(place: Place, how: 'full' | 'incremental'): Promise<Cost> {
    return this.run(place, 'send', ...(how === 'full' ? ['--full'] : []));
  }

  verify(place: Place): Promise<Cost> {
    return this.run(place, 'verify');
  }

  restore(place: Place): Promise<Cost> {
    return this.run(place, 'restore', 'volume.img', '--to', this.restored(place));
  }

  restored(place: Place): string {
    return join(place.folder, 'restored.img');
  }

  repository(place: Place): string {
    return join(place.folder, 'vault');
  }
}
