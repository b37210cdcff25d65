/**
 * Wyng 0.8, from its script, with a local archive. It takes its volumes from a Btrfs subvolume. It writes to
 * /var/lib/wyng, /var/lock/wyng and /tmp/wyng… whatever it is told; what it caches of the archive is in the scratch
 * folder.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { measured, type Cost } from '../measured.ts';
import { PASSPHRASE, type Place, type Tool } from './tool.ts';

/** Debian's Python first: another one would not find Debian's modules. */
const PYTHON = ['/usr/bin/python3', '/usr/local/bin/python3'].find((path) => existsSync(path)) ?? 'python3';

const VOLUME = 'volume.img';

export class Wyng implements Tool {
  readonly name = 'Wyng';
  readonly settings: string;
  /** It does not say what it flushes. */
  readonly durable = { send: false, restore: false };
  readonly #script: string;
  readonly #hash: string;

  /** @param sha256 whether SHA-256 is faster here than BLAKE2b, and so the hash to choose */
  constructor(script: string, sha256: boolean) {
    this.#script = resolve(script);
    this.#hash = sha256 ? 'hmac-sha256' : 'blake2b';
    const said = execFileSync(PYTHON, [this.#script, 'version'], { encoding: 'utf8', stdio: 'pipe' }).trim();
    const release = said.split('\n')[0] ?? 'Wyng';
    this.settings = `${release}, --compression=zstd:1, --hashtype=${this.#hash}, passphrase remembered (--authmin)`;
  }

  async begin(place: Place): Promise<void> {
    mkdirSync(join(place.folder, 'meta'), { recursive: true });
    writeFileSync(join(place.folder, 'passphrase'), PASSPHRASE);
    await this.#run(place, 'arch-init', '--compression=zstd:1', `--hashtype=${this.#hash}`);
  }

  send(place: Place): Promise<Cost> {
    return this.#run(place, 'send', VOLUME, `--local=${place.ground.volumes}`);
  }

  verify(place: Place): Promise<Cost> {
    return this.#run(place, 'verify', VOLUME);
  }

  restore(place: Place): Promise<Cost> {
    return this.#run(place, 'receive', VOLUME, `--save-to=${this.restored(place)}`);
  }

  restored(place: Place): string {
    return join(place.folder, 'restored.img');
  }

  repository(place: Place): string {
    return join(place.folder, 'archive');
  }

  /** Makes it forget the passphrase, for which a process of it stays. */
  async end(place: Place): Promise<void> {
    await this.#run(place, 'list', '--authmin=-1');
  }

  #run(place: Place, ...args: string[]): Promise<Cost> {
    const always = [
      '--unattended',
      `--dest=file:${this.repository(place)}`,
      `--meta-dir=${join(place.folder, 'meta')}`,
      `--passcmd=cat '${join(place.folder, 'passphrase')}'`,
      ...(args.some((arg) => arg.startsWith('--authmin')) ? [] : ['--authmin=60']),
    ];
    const own = { HOME: place.home, TMPDIR: place.home };
    return measured(PYTHON, [this.#script, ...args, ...always], { env: { ...process.env, ...own } });
  }
}
