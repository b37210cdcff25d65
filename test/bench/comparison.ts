/** Tools one after another: the same operations on the same image, so that only ratios within one run are formed. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../fixtures/random.ts';
import { type Calibration } from './calibration.ts';
import { allocatedIn, compareBytes, dataIn, settle, touchNeighbour, type Ground } from './ground.ts';
import { changeSpots, makeImage } from './image.ts';
import { measured, together, type Cost } from './measured.ts';
import { type Place, type Tool } from './tools/tool.ts';

/** 128 KiB each. */
const SPOTS = 300;

export interface Operation<T extends Tool> {
  readonly name: string;
  /** What happens to the image before, once for all tools. */
  readonly change?: (ground: Ground, size: number, random: Random) => void;
  readonly run: (tool: T, place: Place) => Promise<Cost>;
  /** After it, not measured. */
  readonly check?: (tool: T, place: Place) => Promise<void>;
}

/** One operation of one tool in one run. */
export interface Measurement {
  readonly operation: string;
  readonly tool: string;
  /** From 0. */
  readonly run: number;
  readonly seconds: number;
  /** User and system time of the tool and all its children. */
  readonly cpuSeconds: number;
  /** Peak resident memory of its largest process. */
  readonly largestBytes: number;
  /** Allocated to the files of its archive after the operation. */
  readonly storedBytes: number;
}

export interface Comparison {
  readonly measurements: readonly Measurement[];
  /** Before everything and after everything. */
  readonly calibrations: readonly Calibration[];
  /** Allocated bytes of the image when it is new. */
  readonly dataBytes: number;
}

export interface ComparisonOptions<T extends Tool> {
  readonly tools: readonly T[];
  readonly operations: readonly Operation<T>[];
  readonly runs: number;
  /** Of the image, in bytes. */
  readonly size: number;
  /** A new one for each run. */
  readonly makeGround: () => Promise<Ground>;
  readonly calibrate: (ground: Ground) => Promise<Calibration>;
}

/** What every tool has. */
export const OPERATIONS: readonly Operation<Tool>[] = [
  { name: 'first full', run: (tool, place) => sendDurably(tool, place, 'full') },
  {
    name: `${SPOTS} spots of 128 KiB changed`,
    change: (ground, size, random) => changeSpots(ground.image, size, SPOTS, random),
    run: (tool, place) => sendDurably(tool, place, 'incremental'),
  },
  { name: 'no change', run: (tool, place) => sendDurably(tool, place, 'incremental') },
  { name: 'verify', run: (tool, place) => tool.verify(place) },
  { name: 'restore, durable', run: restoreDurably, check: checkRestored },
];

async function sendDurably(tool: Tool, place: Place, how: 'full' | 'incremental'): Promise<Cost> {
  const cost = await tool.send(place, how);
  return tool.durable.send ? cost : together(cost, await measured('sync', ['-f', tool.repository(place)]));
}

async function restoreDurably(tool: Tool, place: Place): Promise<Cost> {
  const cost = await tool.restore(place);
  return tool.durable.restore ? cost : together(cost, await measured('sync', [tool.restored(place)]));
}

async function checkRestored(tool: Tool, place: Place): Promise<void> {
  await compareBytes(tool.restored(place), place.ground.image, tool.name);
  rmSync(tool.restored(place));
}

/** @throws if a tool fails, or restores something else than it saved */
export async function compareTools<T extends Tool>(options: ComparisonOptions<T>): Promise<Comparison> {
  const measurements: Measurement[] = [];
  const calibrations: Calibration[] = [];
  let dataBytes = 0;
  for (let run = 0; run < options.runs; run++) {
    const ground = await options.makeGround();
    try {
      const random = new Random('bench', 1);
      say(`run ${run + 1} of ${options.runs}: making the image`);
      await makeImage(ground.image, options.size, random);
      touchNeighbour(ground);
      dataBytes = dataIn(ground.image);
      if (run === 0) calibrations.push(await options.calibrate(ground));
      measurements.push(...(await oneRun(options, ground, run, random)));
      if (run === options.runs - 1) calibrations.push(await options.calibrate(ground));
    } finally {
      await ground.remove();
    }
  }
  return { measurements, calibrations, dataBytes };
}

async function oneRun<T extends Tool>(
  options: ComparisonOptions<T>,
  ground: Ground,
  run: number,
  random: Random,
): Promise<Measurement[]> {
  const first = run % options.tools.length;
  const tools = [...options.tools.slice(first), ...options.tools.slice(0, first)];
  const places = new Map(tools.map((tool) => [tool, placeOf(ground, tool)]));
  const measurements: Measurement[] = [];
  try {
    for (const [tool, place] of places) await tool.begin(place);
    for (const operation of options.operations) {
      operation.change?.(ground, options.size, random);
      if (operation.change !== undefined) touchNeighbour(ground);
      for (const [tool, place] of places) measurements.push(await oneOperation(operation, tool, place, run));
    }
  } finally {
    for (const [tool, place] of places) await tool.end?.(place);
  }
  return measurements;
}

async function oneOperation<T extends Tool>(
  operation: Operation<T>,
  tool: T,
  place: Place,
  run: number,
): Promise<Measurement> {
  await settle(place.ground, [place.ground.volumes, tool.repository(place)]);
  const { seconds, cpuSeconds, largestBytes } = await operation.run(tool, place);
  // What is not written yet may not be allocated yet.
  await place.ground.flush();
  const storedBytes = await allocatedIn(tool.repository(place));
  say(`${operation.name}: ${tool.name} ${seconds.toFixed(2)} s`);
  await operation.check?.(tool, place);
  return { operation: operation.name, tool: tool.name, run, seconds, cpuSeconds, largestBytes, storedBytes };
}

function placeOf(ground: Ground, tool: Tool): Place {
  const folder = join(ground.folder, tool.name.replaceAll(/[^\w.-]/g, '-'));
  const home = join(folder, 'home');
  mkdirSync(home, { recursive: true });
  return { ground, folder, home };
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}
