/** `npm run bench -- --scale`: an image of many chunks with little in each, beside a plain loop over as many files. */
import { closeSync, constants, fsyncSync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Random } from '../fixtures/random.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { mountGround, refuseWithoutBtrfs, refuseWithoutRoom, type Ground } from './ground.ts';
import { describeMachine, thisMachine } from './machine.ts';
import { measured, type Cost } from './measured.ts';
import { type Options } from './options.ts';
import { markdown } from './table.ts';
import { Ours } from './tools/ours.ts';
import { type Place } from './tools/tool.ts';

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const CHUNK = 64 * 1024;
/** Random bytes in each chunk; the rest is a hole. */
const DATA = 4096;
/** One chunk of so many changes between the two sessions. */
const CHANGED = 10;

const plainFiles = fileURLToPath(new URL('./plain-files.ts', import.meta.url));

/** An operation of ours, and the plain loop that does the same to as many files. */
interface Row {
  readonly what: string;
  readonly ours: Cost;
  readonly plain: Cost | undefined;
}

/** Writes to each chunk of the image whose number is a multiple of `every`. */
function writeChunks(image: string, chunks: number, every: number, random: Random): void {
  const file = openSync(image, constants.O_RDWR | constants.O_CREAT);
  try {
    ftruncateSync(file, chunks * CHUNK);
    for (let chunk = 0; chunk < chunks; chunk += every) writeSync(file, random.bytes(DATA), 0, DATA, chunk * CHUNK);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The plain loop, and a flush of the file system where ours ends with one. */
async function plain(ground: Ground, task: string, folder: string, count: number, flush: boolean): Promise<Cost> {
  const loop = await measured(process.execPath, [plainFiles, task, folder, String(count), String(DATA)]);
  if (!flush) return loop;
  const sync = await measured('sync', ['-f', ground.folder]);
  return { ...loop, seconds: loop.seconds + sync.seconds, cpuSeconds: loop.cpuSeconds + sync.cpuSeconds };
}

async function measure(place: Place, chunks: number): Promise<Row[]> {
  const ours = new Ours('sparsebak', 'these sources, built');
  const { ground } = place;
  const random = new Random('scale', 1);
  const rows: Row[] = [];
  const note = (what: string, cost: Cost, beside?: Cost) => {
    rows.push({ what, ours: cost, plain: beside });
    const ratio = beside === undefined ? '' : `, plain loop ${beside.seconds.toFixed(1)} s`;
    process.stderr.write(`${what}: ${cost.seconds.toFixed(1)} s${ratio}\n`);
  };
  const few = Math.ceil(chunks / CHANGED);
  const files = join(ground.folder, 'plain');
  const fewFiles = join(ground.folder, 'plain-few');
  mkdirSync(files);
  mkdirSync(fewFiles);

  writeChunks(ground.image, chunks, 1, random);
  await ours.begin(place, ['--chunk-size', '64K']);
  const full = await ours.send(place, 'full');
  note('first full', full, await plain(ground, 'write', files, chunks, true));
  note('no change', await ours.send(place, 'incremental'));
  const [first = ''] = sessionsOf(await ours.run(place, 'list', 'volume.img'));
  writeChunks(ground.image, chunks, CHANGED, random);
  note('monitor, a tenth changed', await ours.run(place, 'monitor'));
  const incremental = await ours.send(place, 'incremental');
  note('incremental, a tenth', incremental, await plain(ground, 'write', fewFiles, few, true));
  note('list', await ours.run(place, 'list'));
  note('verify', await ours.verify(place), await plain(ground, 'read', files, chunks, false));
  note('scrub', await ours.receiver(place, 'scrub'), await plain(ground, 'read', files, chunks, false));
  const prune = await ours.run(place, 'prune', '--session', first, '--yes');
  note('prune the first session', prune, await plain(ground, 'move', files, chunks, true));
  return rows;
}

/** The names of the sessions, oldest first. */
function sessionsOf({ stdout }: Cost): string[] {
  return [...new Set(stdout.match(/S_\d{8}-\d{6}/g))].sort();
}

function report(rows: readonly Row[], chunks: number, json: boolean): void {
  const machine = thisMachine();
  if (json) {
    process.stdout.write(`${JSON.stringify({ machine, chunks, rows }, null, 2)}\n`);
    return;
  }
  const cells = rows.map(({ what, ours, plain: beside }) => [
    what,
    ours.seconds.toFixed(1),
    beside === undefined ? '' : beside.seconds.toFixed(1),
    beside === undefined ? '' : (ours.seconds / beside.seconds).toFixed(2),
    ours.cpuSeconds.toFixed(1),
    (ours.agentBytes / MIB).toFixed(0),
    (ours.receiverBytes / MIB).toFixed(0),
  ]);
  const columns = ['operation', 'seconds:', 'plain loop:', '×:', 'CPU seconds:', 'agent, MiB:', 'receiver, MiB:'];
  process.stdout.write(
    `${describeMachine(machine)}; Btrfs on a loop device; an image of ${chunks} chunks of 64 KiB with 4 KiB of data ` +
      `each.\n\n${markdown(columns, cells)}`,
  );
}

export async function benchScale({ json }: Options, chunks: number): Promise<void> {
  refuseWithoutBtrfs();
  // Image, its snapshots' share, archive and the plain files, each with the file system's own share of small files.
  const room = chunks * 8 * DATA + 2 * GIB;
  refuseWithoutRoom(room);
  const folder = makeScratch('bench');
  try {
    const ground = await mountGround(room + 4 * GIB);
    try {
      // The archive is on the same file system as the plain files.
      const archive = join(ground.folder, 'archive');
      const home = join(folder, 'home');
      for (const each of [archive, home]) mkdirSync(each);
      report(await measure({ ground, folder: archive, home }, chunks), chunks, json);
    } finally {
      await ground.remove();
    }
  } finally {
    removeScratch(folder);
  }
}
