/** Block devices: their size, and who may be writing to them. Node has no ioctl, so everything comes from sysfs. */
import { constants, type BigIntStats } from 'node:fs';
import { open, readdir, readFile, realpath, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SparsebakError, systemCode } from '../../shared/errors.ts';

const SECTOR = 512;

/** `major:minor`, as sysfs names it. */
export function deviceNumber({ rdev }: Pick<BigIntStats, 'rdev'>): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return `${String(major)}:${String(minor)}`;
}

async function sysfs(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

/** Bytes. */
export async function deviceSize(number: string): Promise<number> {
  const sectors = Number((await sysfs(`/sys/dev/block/${number}/size`)) ?? NaN);
  const size = sectors * SECTOR;
  if (!Number.isSafeInteger(size)) throw new SparsebakError('source', `device ${number}: sysfs does not show its size`);
  return size;
}

/**
 * Counts everything that was written to or discarded from the device, and distinguishes it from a device that replaced
 * it.
 */
export async function deviceHistory(number: string): Promise<string> {
  const folder = `/sys/dev/block/${number}`;
  const fields = ((await sysfs(`${folder}/stat`)) ?? '').split(/ +/);
  const attached = (await sysfs(`${folder}/diskseq`)) ?? (await sysfs(`${folder}/../diskseq`)) ?? '';
  // Fields of /sys/block/…/stat: 5 and 7 are writes and sectors written, 12 and 14 the same for discards.
  return [attached, fields[4], fields[6], fields[11], fields[13]].join(' ');
}

/**
 * Opens a device so that nothing can be mounted from it until it is closed. Fails if something holds it already: a
 * mount, swap, a volume group, an array, an encrypted device above it, also through one of its partitions.
 */
export async function openExclusively(path: string): Promise<FileHandle | 'in use'> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_EXCL);
  } catch (error) {
    if (systemCode(error) === 'EBUSY') return 'in use';
    throw error;
  }
}

/**
 * Which process or qube has the device, its disk, or one of its partitions open for writing, as far as the kernel
 * shows.
 */
export async function findWriter(number: string): Promise<string | undefined> {
  const numbers = await relatedNumbers(number);
  return (await writingProcess(numbers)) ?? (await loopDeviceOn(numbers)) ?? (await writingQube(numbers));
}

async function relatedNumbers(number: string): Promise<ReadonlySet<string>> {
  const folder = await realpath(`/sys/dev/block/${number}`);
  const isPartition = (await sysfs(join(folder, 'partition'))) !== undefined;
  const folders = isPartition ? [dirname(folder)] : (await readdir(folder)).map((entry) => join(folder, entry));
  const numbers = await Promise.all(folders.map((each) => sysfs(join(each, 'dev'))));
  return new Set([number, ...numbers.filter((each) => each !== undefined && each !== '')] as string[]);
}

async function isOneOf(path: string, numbers: ReadonlySet<string>): Promise<boolean> {
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  return stats?.isBlockDevice() === true && numbers.has(deviceNumber(stats));
}

/** An entry that disappears meanwhile is not a writer. */
async function entries(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}

async function writingProcess(numbers: ReadonlySet<string>): Promise<string | undefined> {
  for (const pid of await entries('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of await entries(`/proc/${pid}/fd`)) {
      if (!(await isOneOf(`/proc/${pid}/fd/${fd}`, numbers))) continue;
      const flags = /^flags:\s*([0-7]+)$/m.exec((await sysfs(`/proc/${pid}/fdinfo/${fd}`)) ?? '')?.[1];
      // The last two bits are the access mode: read only, write only, both.
      if (flags !== undefined && parseInt(flags, 8) % 4 !== constants.O_RDONLY) {
        return `process ${pid} (${(await sysfs(`/proc/${pid}/comm`)) ?? 'gone'})`;
      }
    }
  }
  return undefined;
}

async function loopDeviceOn(numbers: ReadonlySet<string>): Promise<string | undefined> {
  for (const loop of await entries('/sys/block')) {
    const backing = await sysfs(`/sys/block/${loop}/loop/backing_file`);
    if (backing === undefined || !(await isOneOf(backing, numbers))) continue;
    if ((await sysfs(`/sys/block/${loop}/ro`)) !== '1') return `/dev/${loop}`;
  }
  return undefined;
}

/** Xen's block back end opens devices inside the kernel, where no process shows it. */
async function writingQube(numbers: ReadonlySet<string>): Promise<string | undefined> {
  const folder = '/sys/bus/xen-backend/devices';
  for (const device of await entries(folder)) {
    const physical = /^([0-9a-f]+):([0-9a-f]+)$/.exec((await sysfs(join(folder, device, 'physical_device'))) ?? '');
    if (physical === null) continue;
    const number = physical
      .slice(1)
      .map((part) => String(parseInt(part, 16)))
      .join(':');
    const mode = (await sysfs(join(folder, device, 'mode'))) ?? 'w';
    if (numbers.has(number) && mode.startsWith('w')) return `a qube (${basename(device)})`;
  }
  return undefined;
}
