/**
 * What sends, prunes and scrubs cost as an archive grows: in sessions, and in chunks. Through the built bundles, from a
 * file into a local archive; every session changes as many chunks.
 *
 * Options: --sessions N,N,… (default 10,50,200), --sizes N,N,… MiB of the volume (default 64,1024: each at the fewest
 * sessions).
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Random } from '../fixtures/random.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { measured, type Cost } from './measured.ts';

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '10,50,200' },
    sizes: { type: 'string', default: '64,1024' },
  },
});
const [sessions, sizes] = [values.sessions, values.sizes].map((list) => list.split(',').map(Number)) as [
  number[],
  number[],
];
const CHUNK = 64 * 1024;
const MIB = 1024 * 1024;
/** Chunks that each session changes. */
const CHANGED = 16;
const dist = fileURLToPath(new URL('../../dist', import.meta.url));

class Ground {
  readonly folder = makeScratch('bench-life');
  readonly #random = new Random('life');
  readonly #chunks: number;
  #sent = 0;

  constructor(megabytes: number) {
    this.#chunks = (megabytes * MIB) / CHUNK;
    for (const each of ['vault', 'volumes']) mkdirSync(join(this.folder, each));
    writeFileSync(join(this.folder, 'passphrase'), 'bench\n');
    const file = openSync(this.image, 'w');
    for (let at = 0; at < megabytes; at++) writeSync(file, this.#random.bytes(MIB));
    closeSync(file);
    const lines = [
      `destination = "local:${this.folder}/vault"`,
      `archive = "bench"`,
      `state_dir = "${this.folder}/state"`,
      `[pool.main]\ntype = "file"\npath = "${this.folder}/volumes"\nvolumes = ["*"]`,
    ];
    writeFileSync(join(this.folder, 'sparsebak.toml'), lines.join('\n'));
  }

  get image(): string {
    return join(this.folder, 'volumes/image');
  }

  agent(...args: string[]): Promise<Cost> {
    const config = ['--config', join(this.folder, 'sparsebak.toml')];
    return measured(process.execPath, [
      '--disallow-code-generation-from-strings',
      join(dist, 'sparsebak.js'),
      ...config,
      ...args,
    ]);
  }

  receiver(...args: string[]): Promise<Cost> {
    return measured(process.execPath, [
      join(dist, 'sparsebak-receiver.js'),
      ...args,
      '--root',
      join(this.folder, 'vault'),
    ]);
  }

  async begin(): Promise<void> {
    await this.agent('init', '--chunk-size', '64K', '--passphrase-file', join(this.folder, 'passphrase'));
    await this.agent('send', '--full');
    this.#sent = 1;
  }

  async send(): Promise<Cost> {
    const file = openSync(this.image, 'r+');
    for (let at = 0; at < CHANGED; at++) {
      writeSync(file, this.#random.bytes(100), 0, 100, this.#random.int(this.#chunks) * CHUNK);
    }
    closeSync(file);
    this.#sent++;
    return await this.agent('send');
  }

  async sendUpTo(count: number): Promise<void> {
    while (this.#sent < count) await this.send();
  }

  /** The session in the middle. */
  async middle(): Promise<string> {
    const { stdout } = await this.agent('--json', 'list');
    const { volumes } = JSON.parse(stdout) as { volumes: { sessions: { session: string }[] }[] };
    const listed = volumes[0]?.sessions ?? [];
    return listed[Math.floor(listed.length / 2)]?.session ?? '';
  }
}

async function row(ground: Ground, megabytes: number, count: number): Promise<void> {
  const incremental = await ground.send();
  const unchanged = await ground.agent('send');
  const middle = await ground.middle();
  const scrub = await ground.receiver('scrub');
  const prune = await ground.agent('prune', '--session', middle);
  const cells = [incremental, unchanged, prune, scrub].map(({ seconds }) => seconds.toFixed(2));
  process.stdout.write(`| ${megabytes} MiB, ${(megabytes * MIB) / CHUNK} chunks | ${count} | ${cells.join(' | ')} |\n`);
}

process.stdout.write('| volume | sessions | send, 16 chunks | send, no change | prune one | scrub all |\n');
process.stdout.write('| --- | ---: | ---: | ---: | ---: | ---: |\n');
for (const [at, megabytes] of sizes.entries()) {
  const ground = new Ground(megabytes);
  try {
    await ground.begin();
    for (const count of at === 0 ? sessions : sessions.slice(0, 1)) {
      await ground.sendUpTo(count);
      await row(ground, megabytes, count);
    }
  } finally {
    removeScratch(ground.folder);
  }
}
