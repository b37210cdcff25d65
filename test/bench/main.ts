/**
 * `npm run bench`: what the main operations cost on this machine, through the built bundles and a local receiver.
 * Figures are for people; nothing here passes or fails.
 *
 * Options: --size GIB (default 4), --runs N (default 3: the median is shown), --json.
 */
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  ftruncateSync,
  rmSync,
  writeFileSync,
  writeSync,
  truncateSync,
} from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loopFsSkip, mountLoopFs } from '../fixtures/loop-fs.ts';
import { Random } from '../fixtures/random.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { changeSpots, makeImage } from './image.ts';
import { measured, type Cost } from './measured.ts';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '4' },
    runs: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
});
const GIB = 2 ** 30;
const size = Number(values.size) * GIB;
const runs = Number(values.runs);
const agent = fileURLToPath(new URL('../../dist/sparsebak.js', import.meta.url));

interface Row {
  readonly what: string;
  readonly costs: Cost[];
}

/** A place with an archive of its own. */
class Bench {
  /** New for each archive: ext4 looks through inodes deleted lately for seconds after a large removal. */
  folder: string;
  readonly #parent: string;
  readonly rows: Row[] = [];

  constructor(parent: string) {
    this.#parent = parent;
    this.folder = parent;
  }

  async run(args: readonly string[]): Promise<Cost> {
    return measured(process.execPath, [agent, '--config', join(this.folder, 'sparsebak.toml'), '--json', ...args]);
  }

  async time(what: string, args: readonly string[]): Promise<Cost> {
    return this.note(what, await this.run(args));
  }

  note(what: string, cost: Cost): Cost {
    let row = this.rows.find((entry) => entry.what === what);
    if (row === undefined) this.rows.push((row = { what, costs: [] }));
    row.costs.push(cost);
    process.stderr.write(`${what}: ${cost.seconds.toFixed(2)} s\n`);
    return cost;
  }

  async begin(pool: string): Promise<void> {
    this.folder = mkdtempSync(join(this.#parent, 'run-'));
    mkdirSync(join(this.folder, 'vault'), { recursive: true });
    writeFileSync(join(this.folder, 'passphrase'), 'bench\n');
    writeFileSync(
      join(this.folder, 'sparsebak.toml'),
      [
        `destination = "local:${join(this.folder, 'vault')}"`,
        'archive = "bench"',
        `state_dir = "${join(this.folder, 'state')}"`,
        '[pool.main]',
        'type = "reflink"',
        `path = "${pool}"`,
        'volumes = ["*.img"]',
      ].join('\n'),
    );
    await this.run(['init', '--passphrase-file', join(this.folder, 'passphrase')]);
  }
}

async function mainOperations(bench: Bench, pool: string): Promise<void> {
  const image = join(pool, 'volume.img');
  for (let run = 0; run < runs; run++) {
    const random = new Random('bench', 1);
    makeImage(image, size, random);
    await bench.begin(pool);
    await bench.time('first full', ['send', '--full']);
    await bench.time('no change', ['send']);
    changeSpots(image, size, 300, random);
    await bench.time('monitor, 300 spots changed', ['monitor']);
    await bench.time('incremental, 300 spots of 128 KiB', ['send']);
    const restored = join(bench.folder, 'restored.img');
    await bench.time('restore', ['restore', 'volume.img', '--to', restored]);
    // What the disk itself takes for as many bytes: nothing that is durable can be faster.
    const copy = join(bench.folder, 'copy.img');
    const dd = [`if=${restored}`, `of=${copy}`, 'bs=1M', 'conv=sparse,fsync', 'status=none'];
    bench.note('for comparison: dd of the restored image, with fsync', await measured('dd', dd));
    rmSync(copy);
    rmSync(restored);
    await bench.time('verify', ['verify']);
    rmSync(image);
    rmSync(join(pool, '.sparsebak'), { recursive: true, force: true });
  }
}

async function sparseTerabyte(bench: Bench, pool: string): Promise<void> {
  const image = join(pool, 'sparse.img');
  const fd = openSync(image, 'w');
  ftruncateSync(fd, 1024 * GIB);
  const random = new Random('sparse', 1);
  for (let i = 0; i < 256; i++) writeSync(fd, random.bytes(2 ** 20), 0, 2 ** 20, i * 4 * GIB);
  closeSync(fd);
  await bench.begin(pool);
  await bench.time('1 TiB sparse with 256 MiB: first full', ['send', '--full']);
  await bench.time('1 TiB sparse: no change', ['send']);
  truncateSync(image, 1025 * GIB);
  await bench.time('1 TiB sparse: grown by 1 GiB', ['send']);
  await bench.time('1 TiB sparse: verify', ['verify']);
  rmSync(image);
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function report(rows: readonly Row[], where: string): void {
  const lines = rows.map(({ what, costs }) => ({
    what,
    seconds: median(costs.map((cost) => cost.seconds)),
    cpuSeconds: median(costs.map((cost) => cost.cpuSeconds)),
    agentMiB: Math.max(...costs.map((cost) => cost.agentBytes)) / 2 ** 20,
    receiverMiB: Math.max(...costs.map((cost) => cost.receiverBytes)) / 2 ** 20,
  }));
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ where, size, runs, lines }, null, 2)}\n`);
    return;
  }
  process.stdout.write(`\n${where}, ${values.size} GiB image, median of ${runs}\n\n`);
  process.stdout.write(
    '| operation | seconds | processor seconds | agent MiB | receiver MiB |\n| --- | ---: | ---: | ---: | ---: |\n',
  );
  for (const line of lines) {
    process.stdout.write(
      `| ${line.what} | ${line.seconds.toFixed(2)} | ${line.cpuSeconds.toFixed(2)} | ${line.agentMiB.toFixed(0)} | ${line.receiverMiB.toFixed(0)} |\n`,
    );
  }
}

const skip = loopFsSkip('btrfs');
if (skip !== false) {
  process.stderr.write(`the benchmarks need a Btrfs file system on a loop device: ${skip}\n`);
  process.exitCode = 1;
} else {
  const folder = makeScratch('bench');
  const loop = await mountLoopFs({ type: 'btrfs', size: size * 3 + 4 * GIB });
  try {
    const bench = new Bench(folder);
    await mainOperations(bench, loop.dir);
    await sparseTerabyte(bench, loop.dir);
    report(bench.rows, `Btrfs, ${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'})`);
  } finally {
    await loop.unmount();
    removeScratch(folder);
  }
}
