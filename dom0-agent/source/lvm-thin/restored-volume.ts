/**
 * A volume that a restore makes. It is written under a temporary name, and gets its own when all of it is proven and
 * durable.
 *
 * LVM cannot exchange names in one step: while a volume is replaced, there is a moment without one. Tags record how far
 * a killed restore had come, and the next run of any command completes it:
 *
 *     sparsebak.restoring=NAME   it was being written: it is removed
 *     sparsebak.restored=NAME    it was complete: it gets the name if that is free, otherwise it is removed
 *
 * A lock for each, dropped by the kernel when its holder dies, distinguishes a killed restore from a running one.
 */
import { randomBytes } from 'node:crypto';
import { rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolderDurably } from '../../../shared/durable.ts';
import { SparsebakError, asSparsebakError } from '../../../shared/errors.ts';
import { acquireLock } from '../../process/flock.ts';
import { hintForTaken, type Finished, type NewVolume, type Target } from '../target.ts';
import { WriteBack } from '../write-back.ts';
import { changeVolume, createVolume, deactivate, removeVolumes, renameVolume, type VolumeIdentity } from './lvm.ts';
import {
  deviceName,
  importName,
  isLvName,
  isOwnName,
  newId,
  newName,
  newTag,
  replacedName,
  restoreOfTags,
  runningName,
} from './lvm-names.ts';
import { openToWrite, type WritableDevice } from './open-device.ts';
import { identityOf, type PoolReport, type ThinVolume } from './lvm-report.ts';
import { ZeroEdges } from './zero-edges.ts';

export interface Place {
  readonly group: string;
  readonly pool: string;
  /** For locks. */
  readonly folder: string;
  /** Percent of the pool's data or metadata that may be in use. */
  readonly fullAt: number;
  readonly report: () => Promise<PoolReport>;
}

/** The longest name of device-mapper, in bytes. */
const LONGEST_DEVICE = 127;
const SECTOR = 512;
const ZEROS = Buffer.alloc(1024 * 1024);

/** @throws `target` if it cannot be made, or the volume that it replaces is in use */
export async function restoreVolume(place: Place, volume: NewVolume): Promise<Target> {
  checkName(place, volume);
  const report = await place.report();
  const old = volume.replaces ? replaceable(place, report, volume.name) : undefined;
  if (!volume.replaces && report.names.has(volume.name)) {
    throw new SparsebakError('target', `${place.group}/${volume.name} exists already`, {
      hint: hintForTaken(volume),
    });
  }
  await checkRoom(place, report, volume);
  const restored = new RestoredVolume(place, volume, old);
  await restored.make(report.block);
  return restored;
}

class RestoredVolume implements Target {
  readonly #place: Place;
  readonly #volume: NewVolume;
  readonly #old: ThinVolume | undefined;
  readonly #id = randomBytes(16).toString('hex');
  #lock: RestoreLock | undefined;
  #identity: VolumeIdentity | undefined;
  #device: WritableDevice | undefined;
  #zeros: ZeroEdges | undefined;
  #writeBack: WriteBack | undefined;

  constructor(place: Place, volume: NewVolume, old: ThinVolume | undefined) {
    this.#place = place;
    this.#volume = volume;
    this.#old = old;
  }

  get path(): string {
    return this.#opened.path;
  }

  get #opened(): WritableDevice {
    if (this.#device === undefined) throw new SparsebakError('failed', 'the volume is not open');
    return this.#device;
  }

  get #made(): VolumeIdentity {
    if (this.#identity === undefined) throw new SparsebakError('failed', 'the volume was not made');
    return this.#identity;
  }

  async make(block: number): Promise<void> {
    const { name, size } = this.#volume;
    const temporary = newName(this.#id);
    this.#lock = await lockRestore(this.#place, this.#id);
    try {
      const whole = Math.max(1, Math.ceil(size / SECTOR)) * SECTOR;
      await createVolume(this.#place, { name: temporary, size: whole, tag: newTag('restoring', name) });
      const report = await this.#place.report();
      const made = report.volumes.get(temporary);
      if (made === undefined) throw new SparsebakError('target', 'LVM made no volume');
      this.#identity = identityOf(made, report);
      this.#device = await openToWrite(this.#place.group, this.#identity);
      const { handle, size: room } = this.#device;
      if (room < size) throw new SparsebakError('target', `LVM made a volume of ${room} bytes, not ${size}`);
      const write = (offset: number, length: number): void => {
        writeZeros(handle.fd, offset, length);
      };
      this.#writeBack = new WriteBack(handle.fd);
      this.#zeros = new ZeroEdges({ block, size: room, write });
    } catch (error) {
      await this.abandon();
      throw asSparsebakError(error, 'target');
    }
  }

  wrote(bytes: number): void {
    this.#writeBack?.wrote(bytes);
  }

  zeros = (offset: number, length: number): void => {
    this.#zeros?.add(offset, length);
  };

  async finish(): Promise<Finished> {
    const { group } = this.#place;
    const { name } = this.#volume;
    const { handle } = this.#opened;
    this.#zeros?.finish(this.#volume.size);
    await this.#writeBack?.end();
    await handle.close();
    // Its content was written by a guest: it stays active only if the old volume was active.
    if (this.#old?.active !== true) await deactivate(group, [this.#made]);
    const tags = ['--deltag', newTag('restoring', name), '--addtag', newTag('restored', name)];
    await changeVolume(group, this.#made, ['--setactivationskip', 'n', ...tags]);
    const kept = await this.#putAside();
    try {
      await takeName(group, this.#made, name);
    } catch (error) {
      if (kept !== undefined) await renameVolume(group, kept, name);
      throw error;
    }
    this.#lock?.release();
    const to = `${group}/${name}`;
    return kept === undefined ? { to } : { to, kept: { name: kept, removal: `lvremove ${group}/${kept}` } };
  }

  /** Renames the volume that is replaced, if it is still the same and not in use. */
  async #putAside(): Promise<string | undefined> {
    if (this.#old === undefined) return undefined;
    const { group } = this.#place;
    const { name } = this.#volume;
    const report = await this.#place.report();
    if (replaceable(this.#place, report, name).uuid !== this.#old.uuid) {
      throw new SparsebakError('target', `${group}/${name} was replaced while it was restored`, {
        hint: 'Nothing was changed. Try again.',
      });
    }
    let seconds = Math.floor(Date.now() / 1000);
    while (report.names.has(replacedName(name, seconds))) seconds++;
    await renameVolume(group, name, replacedName(name, seconds));
    return replacedName(name, seconds);
  }

  async abandon(): Promise<void> {
    try {
      await this.#writeBack?.stop();
      await this.#device?.handle.close();
      const report = await this.#place.report();
      const made = report.volumes.get(newName(this.#id));
      if (made !== undefined) await removeVolumes(this.#place.group, [identityOf(made, report)]);
    } catch {
      // The next run removes it.
    } finally {
      this.#lock?.release();
    }
  }
}

/** Completes killed restores. @returns whether there were any */
export async function healRestores(place: Place, report: PoolReport): Promise<boolean> {
  let healed = false;
  for (const name of report.volumes.keys()) {
    const id = newId(name);
    const lock = id === undefined ? undefined : await lockIfIdle(place, id);
    if (lock === undefined) continue;
    try {
      healed = (await heal(place, name)) || healed;
    } finally {
      lock.release();
    }
  }
  return healed;
}

async function heal(place: Place, name: string): Promise<boolean> {
  const report = await place.report();
  const volume = report.volumes.get(name);
  const restore = volume === undefined ? undefined : restoreOfTags(volume.tags);
  if (volume === undefined || restore === undefined) return false;
  const identity = identityOf(volume, report);
  if (restore.stage === 'restored' && isLvName(restore.name) && !report.names.has(restore.name)) {
    await takeName(place.group, identity, restore.name);
  } else await removeVolumes(place.group, [identity]);
  return true;
}

async function takeName(group: string, volume: VolumeIdentity, name: string): Promise<void> {
  await renameVolume(group, volume.name, name);
  // Ignored: the tag no longer has a meaning.
  await changeVolume(group, { ...volume, name }, ['--deltag', newTag('restored', name)]).catch(() => undefined);
}

function checkName({ group }: Place, { name, replaces }: NewVolume): void {
  const longest = replaces ? replacedName(name, 9_999_999_999) : name;
  const fits = isLvName(longest) && deviceName(group, longest).length <= LONGEST_DEVICE;
  if (isLvName(name) && !isOwnName(name) && fits) return;
  throw new SparsebakError('usage', `${JSON.stringify(name)} cannot be the name of a volume`, {
    hint: fits ? 'Choose another name.' : 'It is too long. Restore to a shorter one with --as NAME.',
  });
}

/** @throws unless it exists and is not in use */
function replaceable({ group, pool }: Place, { volumes, names }: PoolReport, name: string): ThinVolume {
  const volume = volumes.get(name);
  if (volume === undefined) {
    throw new SparsebakError('not-found', `there is no volume ${name} in ${group}/${pool} to be replaced`, {
      hint: `Create it with --as ${name}.`,
    });
  }
  const use = names.has(runningName(name) ?? '')
    ? 'its qube is running'
    : names.has(importName(name))
      ? 'Qubes is importing it'
      : volume.open
        ? 'it is open: mounted, or used by a virtual machine'
        : undefined;
  if (use === undefined) return volume;
  throw new SparsebakError('target', `${group}/${name} cannot be replaced: ${use}`, {
    hint: 'Shut the qube down, or unmount the volume; or restore to another one with --as NAME.',
  });
}

/** The most that a mapped block takes in the pool's metadata, in bytes. */
const METADATA_OF_BLOCK = 64;

/** A pool that runs full stops every qube, so the restored data must fit below the limit. */
async function checkRoom({ group, pool, fullAt }: Place, report: PoolReport, volume: NewVolume): Promise<void> {
  const needed = await volume.bytesIn(report.block);
  const parts = [
    { what: 'data', needed, used: report.data, size: report.dataSize, option: '--size' },
    {
      what: 'metadata',
      needed: (needed / report.block) * METADATA_OF_BLOCK,
      used: report.metadata,
      size: report.metadataSize,
      option: '--poolmetadatasize',
    },
  ];
  for (const { what, needed: bytes, used, size, option } of parts) {
    const percent = used + (100 * bytes) / size;
    if (percent <= fullAt) continue;
    throw new SparsebakError(
      'target',
      `the pool ${group}/${pool} would have ${percent.toFixed(1)}% of its ${what} in use, and the limit is ${fullAt}%`,
      { hint: `Remove volumes that are not needed, or enlarge it: lvextend ${option} +1G ${group}/${pool}` },
    );
  }
}

function writeZeros(fd: number, offset: number, length: number): void {
  for (let done = 0; done < length;) {
    done += writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, length - done), offset + done);
  }
}

interface RestoreLock {
  release(): void;
}

async function lockRestore({ folder }: Place, id: string): Promise<RestoreLock> {
  makeFolderDurably(folder);
  const file = join(folder, `restore-${id}.lock`);
  const lock = await acquireLock(file, { exclusive: true, waitSeconds: 0 });
  return {
    release: () => {
      // The name is never used again, so nothing waits for the lock that is removed here.
      rmSync(file, { force: true });
      lock.release();
    },
  };
}

async function lockIfIdle(place: Place, id: string): Promise<RestoreLock | undefined> {
  try {
    return await lockRestore(place, id);
  } catch (error) {
    if (error instanceof SparsebakError && error.code === 'locked') return undefined;
    throw error;
  }
}
