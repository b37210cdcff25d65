/**
 * The commands of LVM and device-mapper. Each costs a tenth of a second or more, so one handles all volumes at once.
 * None is ever killed: an interrupted command may leave a qube's device suspended.
 */
import { writeDurably } from '../../../shared/durable.ts';
import { SparsebakError } from '../../../shared/errors.ts';
import { runProgram } from '../../process/run-program.ts';

/** Seconds: another command may hold the volume group's lock for long. */
const SECONDS = 600;
/** A row of a report is below a kilobyte. */
const MAX_OUTPUT = 32 * 1024 * 1024;
/** Length up to which LVM reads a script's line. */
const MAX_SCRIPT_LINE = 250;

export async function lvm(command: string, args: readonly string[]): Promise<string> {
  return await runProgram(command, args, { seconds: SECONDS, maxOutput: MAX_OUTPUT, mayFinish: true });
}

export interface NewSnapshot {
  readonly origin: string;
  readonly name: string;
  readonly tag: string;
}

/**
 * Makes snapshots, in order, up to the first that fails: inactive, marked to stay so when the group is activated,
 * read-only. One process makes them all.
 * @param scriptFile the file for the commands; LVM does not read them from a pipe
 */
export async function createSnapshots(
  group: string,
  snapshots: readonly NewSnapshot[],
  scriptFile: string,
): Promise<void> {
  const lines = snapshots.map(({ origin, name, tag }) => [
    ...['-s', '-an', '-ky', '-pr', '--addtag', tag, '-n', name],
    `${group}/${origin}`,
  ]);
  const script: string[] = [];
  const runScript = async (): Promise<void> => {
    if (script.length === 0) return;
    // A new file each time: the LVM of a run that was killed may still be reading the last one.
    writeDurably(scriptFile, ['#!lvm', ...script.splice(0), ''].join('\n'));
    await lvm('lvm', [scriptFile]);
  };
  for (const args of lines) {
    const line = ['lvcreate', ...args].join(' ');
    if (line.length < MAX_SCRIPT_LINE) {
      script.push(line);
      continue;
    }
    await runScript();
    await lvm('lvcreate', args);
  }
  await runScript();
}

/**
 * Creates a volume, all zeros, active now but not when the group is activated again. @param size bytes; LVM rounds up
 * to extents
 */
export async function createVolume(
  { group, pool }: { readonly group: string; readonly pool: string },
  { name, size, tag }: { readonly name: string; readonly size: number; readonly tag: string },
): Promise<void> {
  const activation = ['-ay', '-ky', '--ignoreactivationskip'];
  await lvm('lvcreate', [...activation, '--thin', '-V', `${size}b`, '--addtag', tag, '-n', name, `${group}/${pool}`]);
}

export async function renameVolume(group: string, from: string, to: string): Promise<void> {
  await lvm('lvrename', [group, from, to]);
}

/** Identifies exactly one volume. LVM checks it under its own lock. */
export interface VolumeIdentity {
  readonly name: string;
  readonly uuid: string;
  readonly thinId: number;
  readonly groupUuid: string;
}

const UUID = /^[A-Za-z0-9-]{38}$/;

function selection(volumes: readonly VolumeIdentity[]): string {
  const each = volumes.map(({ name, uuid, thinId, groupUuid }) => {
    if (!UUID.test(uuid) || !UUID.test(groupUuid)) throw new SparsebakError('source', `${name}: not a UUID of LVM`);
    return `(lv_uuid="${uuid}" && lv_name="${name}" && thin_id=${thinId} && vg_uuid="${groupUuid}")`;
  });
  return each.join(' || ');
}

const MOST_SELECTED = 100;

/** Removes the volumes that exist. */
export async function removeVolumes(group: string, volumes: readonly VolumeIdentity[]): Promise<void> {
  for (let from = 0; from < volumes.length; from += MOST_SELECTED) {
    await lvm('lvremove', ['--yes', '--select', selection(volumes.slice(from, from + MOST_SELECTED)), group]);
  }
}

/** Changes LVM's record of a volume, in one step. */
export async function changeVolume(group: string, volume: VolumeIdentity, options: readonly string[]): Promise<void> {
  await lvm('lvchange', [...options, '--select', selection([volume]), group]);
}

export async function activate(group: string, volume: VolumeIdentity): Promise<void> {
  await lvm('lvchange', ['--activate', 'y', '--ignoreactivationskip', '--select', selection([volume]), group]);
}

export async function deactivate(group: string, volumes: readonly VolumeIdentity[]): Promise<void> {
  if (volumes.length === 0) return;
  await lvm('lvchange', ['--activate', 'n', '--select', selection(volumes), group]);
}
