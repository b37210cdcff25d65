/** `npm run bench -- --peers`: the same operations with the tools that a user could pick instead. */
import { calibrate, isSha256Faster } from './calibration.ts';
import { OPERATIONS, compareTools } from './comparison.ts';
import { mountGround, refuseWithoutBtrfs, refuseWithoutRoom, roomFor } from './ground.ts';
import { describeMachine, thisMachine } from './machine.ts';
import { Refusal, type Options } from './options.ts';
import { calibrationTable, markdown, peersTable } from './table.ts';
import { Borg } from './tools/borg.ts';
import { Ours } from './tools/ours.ts';
import { Restic } from './tools/restic.ts';
import { programPath, type Tool } from './tools/tool.ts';
import { Wyng } from './tools/wyng.ts';

export interface Peers {
  readonly tools: readonly Tool[];
  /** A sentence about each that is left out. */
  readonly leftOut: readonly string[];
}

/** @param searchPath as in PATH @param wyng its script @throws {Refusal} if that does not run */
export function findPeers(searchPath: string, wyng: string | undefined, sha256: boolean): Peers {
  const tools: Tool[] = [];
  const leftOut: string[] = [];
  const borg = programPath('borg', searchPath);
  if (borg === undefined) leftOut.push('no borg here (Debian package borgbackup): left out');
  else tools.push(new Borg(borg, sha256));
  const restic = programPath('restic', searchPath);
  if (restic === undefined) leftOut.push('no restic here (Debian package restic): left out');
  else tools.push(new Restic(restic));
  if (wyng === undefined) leftOut.push('no script of Wyng given (--wyng FILE): left out');
  else tools.push(startWyng(wyng, sha256));
  return { tools, leftOut };
}

function startWyng(script: string, sha256: boolean): Tool {
  try {
    return new Wyng(script, sha256);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Refusal(`--wyng ${script}: this does not run as Wyng's script: ${reason}`, { cause: error });
  }
}

const NOTES = `- Encrypted, local archive, image and archives on the same file system, a new one for each run. The order of the
  tools rotates from run to run. × is the tool's figure by ours, each formed within one run; figures are medians.
- Before each operation everything is flushed, and the image and the tool's archive are read once, so that the kernel
  has them in its cache. sparsebak and Wyng read a snapshot, which the kernel caches separately.
- A send and a restore end when the data are on the disk: where a tool does not flush by itself, \`sync\` of the archive
  or of the restored file counts.
- Verify: sparsebak and Wyng check the newest session, which is the whole image; borg and restic check everything.
- Each restored image is compared with the original.
- CPU seconds: user and system time of all processes of a tool. Memory: the largest process. Stored: what is allocated
  to the files of the archive after the operation, without the tool's caches.
`;

export async function benchPeers({ size, runs, json }: Options, wyng: string | undefined): Promise<void> {
  refuseWithoutBtrfs();
  const sha256 = isSha256Faster();
  const peers = findPeers(process.env.PATH ?? '', wyng, sha256);
  for (const each of peers.leftOut) process.stderr.write(`bench: ${each}\n`);
  if (peers.tools.length === 0) throw new Refusal('there is no other tool to compare with');
  const tools: Tool[] = [new Ours('sparsebak', 'these sources, built; zstd:1'), ...peers.tools];
  const room = roomFor(size, tools.length);
  refuseWithoutRoom(room);
  const makeGround = () => mountGround(room);
  const comparison = await compareTools({ tools, operations: OPERATIONS, runs, size, makeGround, calibrate });
  const machine = thisMachine();
  const settings = tools.map(({ name, settings }): [string, string] => [name, settings]);
  if (json) {
    const settingsOf: Record<string, string> = Object.fromEntries(settings);
    const all = { machine, size, runs, tools: settingsOf, leftOut: peers.leftOut, ...comparison };
    process.stdout.write(`${JSON.stringify(all, null, 2)}\n`);
    return;
  }
  const names = tools.map(({ name }) => name);
  const data = (comparison.dataBytes / 2 ** 30).toFixed(2);
  process.stdout.write(
    [
      `${describeMachine(machine)}; Btrfs on a loop device; an image of ${size / 2 ** 30} GiB, ${data} GiB of it data; ` +
        `${runs === 1 ? 'one run' : `${runs} runs`}.\n`,
      peersTable(comparison.measurements, names),
      markdown(['tool', 'settings'], settings) + peers.leftOut.map((each) => `\n${each}\n`).join(''),
      calibrationTable(comparison.calibrations),
      NOTES,
    ].join('\n'),
  );
}
