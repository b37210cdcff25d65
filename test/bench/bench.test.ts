// What a reader of the benchmark's tables relies on. Nothing here measures anything.

import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { scratchFor } from '../fixtures/scratch.ts';
import { commitOf } from './against.ts';
import { type Calibration } from './calibration.ts';
import { OPERATIONS, compareTools, type Measurement } from './comparison.ts';
import { groundIn } from './ground.ts';
import { type Cost } from './measured.ts';
import { Refusal, parseOptions } from './options.ts';
import { findPeers } from './peers.ts';
import { againstTable, peersTable } from './table.ts';
import { type Place, type Tool } from './tools/tool.ts';

const MIB = 2 ** 20;
const NOTHING: Cost = { seconds: 1, cpuSeconds: 1, agentBytes: 0, receiverBytes: 0, largestBytes: 0, stdout: '' };
const IDLE: Calibration = { zstd1: 1, blake2b: 1, sha256: 1, aes256gcm: 1, pipe: 1, disk: 1 };

/** Its archive is a copy of the image. */
class Copier implements Tool {
  readonly name: string;
  readonly settings = '';
  readonly durable = { send: true, restore: true };
  readonly #added: string;

  /** @param added what its restored image has more than the original */
  constructor(name: string, added = '') {
    this.name = name;
    this.#added = added;
  }

  async begin(place: Place): Promise<void> {
    mkdirSync(this.repository(place));
  }

  async send(place: Place): Promise<Cost> {
    copyFileSync(place.ground.image, join(this.repository(place), 'copy'));
    return NOTHING;
  }

  async verify(): Promise<Cost> {
    return NOTHING;
  }

  async restore(place: Place): Promise<Cost> {
    copyFileSync(join(this.repository(place), 'copy'), this.restored(place));
    appendFileSync(this.restored(place), this.#added);
    return NOTHING;
  }

  restored(place: Place): string {
    return join(place.folder, 'restored');
  }

  repository(place: Place): string {
    return join(place.folder, 'repository');
  }
}

function measurement(operation: string, tool: string, run: number, figures: [number, number, number]): Measurement {
  const [seconds, cpuSeconds, mib] = figures;
  return { operation, tool, run, seconds, cpuSeconds, largestBytes: 50 * MIB, storedBytes: mib * MIB };
}

describe('a comparison', () => {
  const compare = (folder: string, tools: readonly Tool[], runs = 1) =>
    compareTools({
      tools,
      operations: OPERATIONS,
      runs,
      size: 2 * MIB,
      makeGround: async () => {
        const nothing = async () => undefined;
        return groundIn(mkdtempSync(join(folder, 'ground-')), nothing, nothing);
      },
      calibrate: async () => IDLE,
    });

  it('measures each operation of each tool, in another order in each run', async (t) => {
    const { measurements, calibrations } = await compare(scratchFor(t), [new Copier('one'), new Copier('two')], 2);
    const said = (run: number) =>
      measurements.filter((each) => each.run === run).map(({ operation, tool }) => `${operation}: ${tool}`);
    const operations = OPERATIONS.map(({ name }) => name);
    assert.deepEqual(
      said(0),
      operations.flatMap((name) => [`${name}: one`, `${name}: two`]),
    );
    assert.deepEqual(
      said(1),
      operations.flatMap((name) => [`${name}: two`, `${name}: one`]),
    );
    assert.equal(calibrations.length, 2);
  });

  it('ends with an error at the first image that is restored wrong', async (t) => {
    const tools = [new Copier('honest'), new Copier('forger', 'x')];
    await assert.rejects(compare(scratchFor(t), tools), /forger restored something else than it had saved/);
  });
});

describe('the tools to compare with', () => {
  it('are named if they are not here', () => {
    const { tools, leftOut } = findPeers('/nonexistent', undefined, true);
    assert.deepEqual(tools, []);
    assert.deepEqual(leftOut, [
      'no borg here (Debian package borgbackup): left out',
      'no restic here (Debian package restic): left out',
      'no script of Wyng given (--wyng FILE): left out',
    ]);
  });
});

describe('a table', () => {
  it('has ratios that were each formed within one run', () => {
    // The second run was on a machine of half the speed. 6/2 and 14/4: the median is 3.25, not 10/3.
    const table = peersTable(
      [
        measurement('full', 'ours', 0, [2, 4, 100]),
        measurement('full', 'other', 0, [6, 2, 150]),
        measurement('full', 'other', 1, [14, 4, 150]),
        measurement('full', 'ours', 1, [4, 8, 100]),
      ],
      ['ours', 'other'],
    );
    assert.deepEqual(table.trim().split('\n').slice(2), [
      '| full | ours | 3.00 | 1 | 6.00 | 1 | 50 | 100 | 1 |',
      '| | other | 10.00 | 3.25 | 3.00 | 0.50 | 50 | 150 | 1.50 |',
    ]);
  });

  it('says of two versions which differences are no more than noise', () => {
    const runs = (operation: string, old: number[], now: number[]) => [
      ...old.map((seconds, run) => measurement(operation, 'old', run, [seconds, 0, 1])),
      ...now.map((seconds, run) => measurement(operation, 'new', run, [seconds, 1, 1])),
    ];
    const table = againstTable(
      [
        ...runs('full', [10, 10, 10], [9, 10.5, 11]),
        ...runs('verify', [10, 20, 30], [5, 12, 16.5]),
        ...runs('restore', [10, 10, 10], [11, 12, 13]),
        ...runs('prune', [10, 10], [11, 12]),
      ],
      'old',
      'new',
    );
    assert.deepEqual(table.trim().split('\n').slice(2), [
      '| full | 10.00 | 10.50 | 1.05 (0.90 to 1.10) | within noise | 0.00 | 1.00 | too short | |',
      '| verify | 20.00 | 12.00 | 0.55 (0.50 to 0.60) | less | 0.00 | 1.00 | too short | |',
      '| restore | 10.00 | 12.00 | 1.20 (1.10 to 1.30) | more | 0.00 | 1.00 | too short | |',
      '| prune | 10.00 | 11.50 | 1.15 (1.10 to 1.20) | too few pairs | 0.00 | 1.00 | too short | |',
    ]);
  });
});

describe('the command line', () => {
  const refused = (args: string[], message: RegExp) =>
    assert.throws(
      () => parseOptions(args),
      (error) => error instanceof Refusal && message.test(error.message),
    );

  it('refuses what it does not know, and says what it is', () => {
    refused(['--nope'], /^Unknown option '--nope' \(see npm run bench -- --help\)$/);
    refused(['--size', '1G'], /^--size 1G: not a number$/);
    refused(['--peers', '--against', 'HEAD'], /^--peers and --against are two benchmarks/);
    refused(['--wyng', '/dev/null'], /^--wyng is for --peers$/);
    refused(['--chunks', '5000'], /^--chunks is for --scale$/);
    refused(['--scale', '--chunks', '12'], /^--chunks 12: a whole number from 1000$/);
    refused(['--scale', '--peers'], /^--scale is a benchmark of its own/);
    refused(['--peers', '--wyng', '/nonexistent'], /^--wyng \/nonexistent: there is no such file$/);
  });

  it('refuses a revision that there is not', () => {
    assert.throws(
      () => commitOf('no-such-revision'),
      /--against no-such-revision: this repository has no such revision/,
    );
    assert.throws(() => commitOf('--output=x'), /has no such revision/);
  });
});
