/** `npm run bench`: what the main operations cost on this machine. */
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../fixtures/random.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { calibrate, type Calibration } from './calibration.ts';
import { mountGround, refuseWithoutBtrfs, refuseWithoutRoom, type Ground } from './ground.ts';
import { changeSpots, makeImage } from './image.ts';
import { describeMachine, thisMachine } from './machine.ts';
import { measured, type Cost } from './measured.ts';
import { type Options } from './options.ts';
import { measureStartup, startupTable, type Startup } from './startup.ts';
import { calibrationTable, markdown, median } from './table.ts';
import { Ours } from './tools/ours.ts';
import { type Place } from './tools/tool.ts';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const ours = new Ours('sparsebak', 'these sources, built');

interface Row {
  readonly what: string;
  readonly costs: Cost[];
}

/** A place with an archive of its own. */
class Bench {
  /** New for each archive: ext4 looks through inodes deleted lately for seconds after a large removal. */
  place: Place;
  readonly ground: Ground;
  readonly #parent: string;
  readonly rows: Row[] = [];
  readonly calibrations: Calibration[] = [];
  startup: readonly Startup[] = [];

  constructor(parent: string, ground: Ground) {
    this.#parent = parent;
    this.ground = ground;
    this.place = { ground, folder: parent, home: parent };
  }

  async time(what: string, ...args: string[]): Promise<Cost> {
    return this.note(what, await ours.run(this.place, ...args));
  }

  note(what: string, cost: Cost): Cost {
    let row = this.rows.find((entry) => entry.what === what);
    if (row === undefined) this.rows.push((row = { what, costs: [] }));
    row.costs.push(cost);
    process.stderr.write(`${what}: ${cost.seconds.toFixed(2)} s\n`);
    return cost;
  }

  async begin(): Promise<void> {
    const folder = mkdtempSync(join(this.#parent, 'run-'));
    const home = join(folder, 'home');
    mkdirSync(home);
    this.place = { ground: this.ground, folder, home };
    await ours.begin(this.place);
  }
}

async function mainOperations(bench: Bench, { size, runs }: Options): Promise<void> {
  const { image, volumes } = bench.ground;
  for (let run = 0; run < runs; run++) {
    const random = new Random('bench', 1);
    await makeImage(image, size, random);
    if (run === 0) bench.calibrations.push(await calibrate(bench.ground));
    await bench.begin();
    await bench.time('first full', 'send', '--full');
    await bench.time('no change', 'send');
    if (run === 0) bench.startup = await measureStartup(ours, bench.place);
    changeSpots(image, size, 300, random);
    await bench.time('monitor, 300 spots changed', 'monitor');
    await bench.time('incremental, 300 spots of 128 KiB', 'send');
    await restore(bench);
    await bench.time('verify', 'verify');
    if (run === runs - 1) bench.calibrations.push(await calibrate(bench.ground));
    rmSync(image);
    rmSync(join(volumes, '.sparsebak'), { recursive: true, force: true });
  }
}

async function restore(bench: Bench): Promise<void> {
  const restored = ours.restored(bench.place);
  bench.note('restore', await ours.restore(bench.place));
  // What the disk itself takes for as many bytes: nothing that is durable can be faster.
  const copy = join(bench.place.folder, 'copy.img');
  const dd = [`if=${restored}`, `of=${copy}`, 'bs=1M', 'conv=sparse,fsync', 'status=none'];
  bench.note('for comparison: dd of the restored image, with fsync', await measured('dd', dd));
  rmSync(copy);
  rmSync(restored);
}

async function sparseTerabyte(bench: Bench): Promise<void> {
  const image = join(bench.ground.volumes, 'sparse.img');
  const fd = openSync(image, 'w');
  ftruncateSync(fd, 1024 * GIB);
  const random = new Random('sparse', 1);
  for (let i = 0; i < 256; i++) writeSync(fd, random.bytes(MIB), 0, MIB, i * 4 * GIB);
  closeSync(fd);
  await bench.begin();
  await bench.time('1 TiB sparse with 256 MiB: first full', 'send', '--full');
  await bench.time('1 TiB sparse: no change', 'send');
  truncateSync(image, 1025 * GIB);
  await bench.time('1 TiB sparse: grown by 1 GiB', 'send');
  await bench.time('1 TiB sparse: verify', 'verify');
  rmSync(image);
}

function report(bench: Bench, { size, runs, json }: Options): void {
  const lines = bench.rows.map(({ what, costs }) => ({
    what,
    seconds: median(costs.map((cost) => cost.seconds)),
    cpuSeconds: median(costs.map((cost) => cost.cpuSeconds)),
    agentMiB: Math.max(...costs.map((cost) => cost.agentBytes)) / MIB,
    receiverMiB: Math.max(...costs.map((cost) => cost.receiverBytes)) / MIB,
  }));
  const machine = thisMachine();
  const { startup, calibrations } = bench;
  if (json) {
    process.stdout.write(`${JSON.stringify({ machine, size, runs, lines, startup, calibrations }, null, 2)}\n`);
    return;
  }
  const rows = lines.map(({ what, seconds, cpuSeconds, agentMiB, receiverMiB }) => [
    what,
    seconds.toFixed(2),
    cpuSeconds.toFixed(2),
    agentMiB.toFixed(0),
    receiverMiB.toFixed(0),
  ]);
  const said = [
    `${describeMachine(machine)}; Btrfs on a loop device; an image of ${size / GIB} GiB; median of ${runs}.\n`,
    markdown(['operation', 'seconds:', 'CPU seconds:', 'agent, MiB:', 'receiver, MiB:'], rows),
    startupTable(startup),
    calibrationTable(calibrations),
  ];
  process.stdout.write(said.join('\n'));
}

export async function benchPlain(options: Options): Promise<void> {
  refuseWithoutBtrfs();
  refuseWithoutRoom(options.size * 3 + GIB);
  const folder = makeScratch('bench');
  try {
    const ground = await mountGround(options.size * 3 + 4 * GIB);
    try {
      const bench = new Bench(folder, ground);
      await mainOperations(bench, options);
      await sparseTerabyte(bench);
      report(bench, options);
    } finally {
      await ground.remove();
    }
  } finally {
    removeScratch(folder);
  }
}
