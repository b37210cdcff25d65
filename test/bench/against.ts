/** `npm run bench -- --against REV`: whether a change made something faster or slower. */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { calibrate } from './calibration.ts';
import { OPERATIONS, compareTools, type Operation } from './comparison.ts';
import { mountGround, refuseWithoutBtrfs, refuseWithoutRoom, roomFor } from './ground.ts';
import { describeMachine, thisMachine } from './machine.ts';
import { measured } from './measured.ts';
import { Refusal, type Options } from './options.ts';
import { repeatedly } from './startup.ts';
import { againstTable, calibrationTable } from './table.ts';
import { Ours } from './tools/ours.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

const STARTS: readonly Operation<Ours>[] = [
  { name: 'monitor, no change', run: (ours, place) => repeatedly(() => ours.run(place, 'monitor')) },
  { name: '--version', run: (ours, place) => repeatedly(() => ours.version(place)) },
];

const NOTES = `- new/old: the median of the ratios of all pairs, with the smallest and the largest. Within noise: 1 is among them.
- Unchanged code also gives "more" or "less" now and then: with 4 pairs once in 8 rows, with 6 once in 32.
`;

/** @returns the commit's full name @throws {Refusal} if there is no such revision */
export function commitOf(revision: string): string {
  const args = ['-C', root, 'rev-parse', '--verify', '--quiet', '--end-of-options', `${revision}^{commit}`];
  try {
    return execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch (error) {
    throw new Refusal(
      `--against ${revision}: this repository has no such revision (a commit, branch or tag, such as HEAD~5)`,
      { cause: error },
    );
  }
}

/** These sources, as git calls them. */
function ownVersion(): string {
  return execFileSync('git', ['-C', root, 'describe', '--always', '--dirty'], { encoding: 'utf8' }).trim();
}

/** Builds a revision in a git worktree of its own, and removes that at the end, however `use` ends. */
async function withRevision<T>(commit: string, use: (dist: string) => Promise<T>): Promise<T> {
  const scratch = makeScratch('bench-against');
  const worktree = join(scratch, 'worktree');
  try {
    await run('git', ['-C', root, 'worktree', 'add', '--quiet', '--detach', worktree, commit]);
    await build(worktree, commit);
    return await use(join(worktree, 'dist'));
  } finally {
    // Not through the link: what it leads to is these sources' own.
    rmSync(join(worktree, 'node_modules'), { recursive: true, force: true });
    await run('git', ['-C', root, 'worktree', 'remove', '--force', worktree]).catch(() => undefined);
    removeScratch(scratch);
    // For one of which an interrupt left only a part.
    await run('git', ['-C', root, 'worktree', 'prune']).catch(() => undefined);
  }
}

async function build(worktree: string, commit: string): Promise<void> {
  const script = join(worktree, '.ci/build.mjs');
  if (!existsSync(script)) throw new Refusal(`--against: ${commit} is too old: it has no .ci/build.mjs`);
  const lock = (folder: string) => readFileSync(join(folder, 'package-lock.json'), 'utf8');
  process.stderr.write(`building ${commit}\n`);
  if (lock(worktree) === lock(root)) symlinkSync(join(root, 'node_modules'), join(worktree, 'node_modules'));
  else await measured('npm', ['ci', '--loglevel=error'], { cwd: worktree });
  await measured(process.execPath, [script], { cwd: worktree });
}

export async function benchAgainst({ size, runs, json }: Options, revision: string): Promise<void> {
  const commit = commitOf(revision);
  refuseWithoutBtrfs();
  const room = roomFor(size, 2);
  refuseWithoutRoom(room);
  const own = ownVersion();
  await withRevision(commit, async (dist) => {
    const tools = [new Ours('old', commit, dist), new Ours('new', own)];
    const operations: readonly Operation<Ours>[] = [...OPERATIONS, ...STARTS];
    const makeGround = () => mountGround(room);
    const comparison = await compareTools({ tools, operations, runs, size, makeGround, calibrate });
    const machine = thisMachine();
    if (json) {
      const all = { machine, size, runs, old: commit, new: own, ...comparison };
      process.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
      return;
    }
    const said = [
      `${describeMachine(machine)}; Btrfs on a loop device; an image of ${size / 2 ** 30} GiB; ` +
        `old: ${revision} (${commit.slice(0, 10)}), new: ${own}; ${runs === 1 ? 'one pair' : `${runs} pairs, in the order old new new old`}.\n`,
      againstTable(comparison.measurements, 'old', 'new'),
      NOTES,
      calibrationTable(comparison.calibrations),
    ];
    process.stdout.write(said.join('\n'));
  });
}
