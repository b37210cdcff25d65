/**
 * A thin pool of LVM, whose volumes are logical volumes. Snapshots are thin snapshots that stay inactive; thin_delta
 * reads the changes between two from the pool's metadata, without activating either. A snapshot is activated,
 * read-only, only while it is read, so that nothing in dom0 ever looks for file systems in what a qube wrote.
 *
 * A snapshot is identified by the UUIDs of its group, pool and volume, and by its device's number in the pool and the
 * transaction that made it. LVM and the pool's metadata must agree on the last two before any delta is used.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { makeFolderDurably } from '../../../shared/durable.ts';
import { asSparsebakError, SparsebakError } from '../../../shared/errors.ts';
import { bytesIn, clip } from '../byte-ranges.ts';
import { readOutput } from '../../process/run-program.ts';
import type {
  Delta,
  FoundVolumes,
  Mapped,
  OpenSnapshot,
  Outcome,
  RunningState,
  SnapshotPair,
  SnapshotRef,
  Source,
} from '../source.ts';
import type { NewVolume, Target } from '../target.ts';
import { createSnapshots, deactivate, removeVolumes, type NewSnapshot, type VolumeIdentity } from './lvm.ts';
import { MetadataSnapshot, type HeldMetadata } from './metadata-snapshot.ts';
import {
  deviceName,
  isLvName,
  isOwnName,
  runningName,
  selectNames,
  snapshotId,
  snapshotName,
  snapshotTag,
  stateOfTags,
} from './lvm-names.ts';
import { openDevice } from './open-device.ts';
import { identityOf, readReport, type PoolReport, type ThinVolume } from './lvm-report.ts';
import { healRestores, restoreVolume, type Place } from './restored-volume.ts';
import { ThinDeltaReader } from './thin-delta.ts';
import { ThinDumpReader, type ThinDevice, type ThinDump } from './thin-dump.ts';

export interface LvmThinPool {
  readonly vgname: string;
  readonly poolname: string;
  /** `running`: the volume that a running qube writes to is captured. */
  readonly state: RunningState;
  /** Percent of data or metadata above which no snapshot is made. */
  readonly full_at: number;
  /** For state that must outlive a run: one folder for all pools. */
  readonly stateDir: string;
  /** Seconds to wait for metadata that another program has reserved; for tests. */
  readonly patience?: number;
}

/** Milliseconds without output. Large metadata take minutes, but there is some output every few seconds. */
const SILENCE = 600_000;
const PATIENCE = 20;
/**
 * Milliseconds for which a report is reused: a command needs it several times, and each costs a tenth of a second or
 * more.
 */
const RECENT = 2000;

/** A snapshot to make. */
interface Subject extends NewSnapshot {
  readonly volume: string;
  readonly id: string;
  readonly state: RunningState;
}

export class LvmThinSource implements Source {
  readonly kind = 'lvm-thin';
  readonly frozen = true;
  readonly #pool: LvmThinPool;
  readonly #folder: string;
  readonly #metadata: MetadataSnapshot;
  readonly #place: Place;
  /** The last report, and until when it counts as recent. Milliseconds since 1970. */
  #looked: { readonly report: PoolReport; until: number } | undefined;

  constructor(pool: LvmThinPool) {
    this.#pool = pool;
    const { vgname: group, poolname, stateDir, patience = PATIENCE } = pool;
    this.#folder = join(stateDir, 'lvm-thin');
    this.#metadata = new MetadataSnapshot({ group, pool: poolname, folder: this.#folder, patience });
    const report = (): Promise<PoolReport> => this.#report();
    this.#place = { group, pool: poolname, folder: this.#folder, fullAt: pool.full_at, report };
  }

  async list(patterns: readonly string[], excludes: readonly string[]): Promise<FoundVolumes> {
    let report = await this.#report();
    // A restore that was killed between its two renames has left a volume without its name.
    if (await healRestores(this.#place, report)) report = await this.#report();
    const { volumes } = report;
    return { volumes: selectNames([...volumes.keys()], patterns, excludes), leftOut: [] };
  }

  async running(volumes: readonly string[]): Promise<ReadonlySet<string>> {
    const report = await this.#recentReport();
    const writesElsewhere = (volume: string): boolean => (writtenBy(volume, report) ?? volume) !== volume;
    return new Set(volumes.filter(writesElsewhere));
  }

  async newVolume(volume: NewVolume): Promise<Target> {
    await this.#heal(await this.#report());
    return await restoreVolume(this.#place, volume);
  }

  async hasRoom(): Promise<boolean> {
    return fullness(await this.#report()).percent <= this.#pool.full_at;
  }

  async snapshot(volumes: readonly string[]): Promise<Map<string, Outcome<SnapshotRef>>> {
    let report = await this.#recentReport();
    if (volumes.some((volume) => !report.volumes.has(volume))) report = await this.#report();
    report = await this.#heal(report);
    this.#refuseFull(report);
    const outcomes = new Map<string, Outcome<SnapshotRef>>();
    const subjects: Subject[] = [];
    for (const volume of new Set(volumes)) {
      const subject = this.#subject(volume, report);
      if (subject instanceof SparsebakError) outcomes.set(volume, { ok: false, error: subject });
      else subjects.push(subject);
    }
    if (subjects.length > 0) await this.#make(subjects, outcomes);
    return outcomes;
  }

  #subject(volume: string, report: PoolReport): Subject | SparsebakError {
    const { vgname, poolname, state: wanted } = this.#pool;
    const { volumes } = report;
    if (!isLvName(volume) || isOwnName(volume)) {
      return new SparsebakError('usage', `${JSON.stringify(volume)} is not the name of a volume`);
    }
    if (!volumes.has(volume)) {
      return new SparsebakError('not-found', `${volume}: there is no such volume in ${vgname}/${poolname}`);
    }
    const running = writtenBy(volume, report);
    // If Qubes keeps no revisions there is only one, whichever is wanted.
    const isRunning = running !== undefined && (wanted === 'running' || running === volume);
    const state = isRunning ? 'running' : 'stopped';
    const id = randomBytes(16).toString('hex');
    const origin = isRunning ? running : volume;
    return { volume, id, state, origin, name: snapshotName(id), tag: snapshotTag(volume, state) };
  }

  /** LVM stops at the first failure; the remaining ones are made by further calls. */
  async #make(subjects: readonly Subject[], outcomes: Map<string, Outcome<SnapshotRef>>): Promise<void> {
    this.#changed();
    let left = subjects;
    while (left.length > 0) {
      let failure: unknown;
      try {
        await createSnapshots(this.#pool.vgname, left, this.#scriptFile());
      } catch (error) {
        failure = error;
      }
      const report = await this.#report();
      const missing = left.findIndex(({ name }) => !report.volumes.has(name));
      const made = missing < 0 ? left : left.slice(0, missing);
      for (const { volume, id, state } of made) outcomes.set(volume, taken(id, state, report));
      const failed = missing < 0 ? undefined : left[missing];
      if (failed === undefined) return;
      const { volume } = failed;
      const error = asSparsebakError(failure ?? new Error('LVM made no snapshot'), 'source', volume);
      // A qube that stops at this moment renames it.
      const gone = !report.volumes.has(failed.origin);
      outcomes.set(volume, {
        ok: false,
        error: gone ? new SparsebakError('not-found', `${volume}: it was removed`, { cause: error }) : error,
      });
      left = left.slice(missing + 1);
    }
  }

  #scriptFile(): string {
    makeFolderDurably(this.#folder);
    return join(this.#folder, `${deviceName(this.#pool.vgname, this.#pool.poolname)}.lvm`);
  }

  place(volume: string): string {
    return `${this.#pool.vgname}/${volume}`;
  }

  async exists(snapshot: SnapshotRef): Promise<boolean> {
    return find(snapshot, await this.#report()) !== undefined;
  }

  async delta(older: SnapshotRef, newer: SnapshotRef): Promise<Delta> {
    for await (const delta of this.deltas([{ older, newer }])) return delta;
    return { kind: 'unknown', reason: 'no answer' };
  }

  async *deltas(pairs: readonly SnapshotPair[]): AsyncGenerator<Delta, void, undefined> {
    if (pairs.length === 0) return;
    makeFolderDurably(this.#folder);
    const held = await this.#metadata.reserve();
    try {
      // Only now: a report made after the reservation is true for the reserved copy, or the copy does not have the
      // device.
      const report = await this.#report();
      const devices = await dump(held, ['--skip-mappings']).then(
        (dumped) => dumped.devices,
        (error: unknown) => asSparsebakError(error, 'source'),
      );
      for (const pair of pairs) {
        if (devices instanceof SparsebakError) yield { kind: 'unknown', reason: devices.message };
        else yield await deltaOf(pair, report, devices, held);
      }
    } finally {
      await held.release();
    }
  }

  async mapped(snapshot: SnapshotRef): Promise<Mapped> {
    if (snapshot.binding.external !== '') return { kind: 'all' };
    let held: HeldMetadata;
    try {
      makeFolderDurably(this.#folder);
      held = await this.#metadata.reserve();
    } catch {
      return { kind: 'all' };
    }
    try {
      const volume = find(snapshot, await this.#report());
      if (volume === undefined) return { kind: 'all' };
      const { devices, ranges, blocks } = await dump(held, ['--dev-id', String(volume.thinId)]);
      const device = devices.get(volume.thinId);
      if (device?.transaction !== volume.transaction || device.mappedBlocks !== blocks) return { kind: 'all' };
      return (await held.isSame()) ? { kind: 'ranges', ranges: clip(ranges, snapshot.size) } : { kind: 'all' };
    } catch {
      return { kind: 'all' };
    } finally {
      await held.release();
    }
  }

  async open(snapshot: SnapshotRef): Promise<OpenSnapshot> {
    // A UUID of LVM never gets another volume, so an earlier report will do: the device itself is checked, too.
    let report = this.#looked?.report ?? (await this.#report());
    if (find(snapshot, report) === undefined) report = await this.#report();
    const volume = find(snapshot, report);
    if (volume === undefined) throw new SparsebakError('source', `the snapshot ${snapshot.id} is gone`);
    this.#changed();
    return await openDevice(this.#pool.vgname, identityOf(volume, report), snapshot.size);
  }

  async remove(snapshots: readonly SnapshotRef[]): Promise<void> {
    const identities = snapshots.flatMap(({ id, binding }): VolumeIdentity[] => {
      const { group, volume, thinId } = binding;
      if (typeof group !== 'string' || typeof volume !== 'string' || typeof thinId !== 'number') return [];
      return [{ name: snapshotName(id), uuid: volume, thinId, groupUuid: group }];
    });
    this.#changed();
    await removeVolumes(this.#pool.vgname, identities);
  }

  async leftovers(): Promise<SnapshotRef[]> {
    const report = await this.#heal(await this.#recentReport());
    return [...report.volumes.values()].flatMap((volume) => {
      const id = snapshotId(volume.name);
      const state = stateOfTags(volume.tags);
      return id === undefined || state === undefined ? [] : [describe(id, state, volume, report)];
    });
  }

  /**
   * Cleans up after a killed run: reserved metadata, active snapshots that nothing reads, unfinished restores. @returns
   * the report afterwards
   */
  async #heal(report: PoolReport): Promise<PoolReport> {
    await this.#metadata.heal();
    const idle = [...report.volumes.values()].filter(
      ({ name, active, open }) => snapshotId(name) !== undefined && active && !open,
    );
    if (idle.length > 0) this.#changed();
    await deactivate(
      this.#pool.vgname,
      idle.map((volume) => identityOf(volume, report)),
    );
    return (await healRestores(this.#place, report)) ? await this.#report() : report;
  }

  #refuseFull(report: PoolReport): void {
    const { vgname, poolname, full_at: limit } = this.#pool;
    const { what, percent } = fullness(report);
    if (percent <= limit) return;
    throw new SparsebakError('source', `the pool ${vgname}/${poolname} has ${percent}% of its ${what} in use`, {
      hint:
        `Above ${limit}% no snapshot is made, since a full pool stops every qube. Remove volumes or old ` +
        'revisions of volumes that are not needed, or enlarge the pool: lvextend ' +
        `${what === 'data' ? '--size' : '--poolmetadatasize'} +1G ${vgname}/${poolname}`,
    });
  }

  async #report(): Promise<PoolReport> {
    const report = await readReport(this.#pool.vgname, this.#pool.poolname);
    this.#looked = { report, until: Date.now() + RECENT };
    return report;
  }

  /** For uses that are verified later: by LVM, which gets the volume's UUIDs, or by another report. */
  async #recentReport(): Promise<PoolReport> {
    const { report, until } = this.#looked ?? {};
    return report !== undefined && Date.now() < (until ?? 0) ? report : await this.#report();
  }

  /** Must be called before changing what a report shows. */
  #changed(): void {
    if (this.#looked !== undefined) this.#looked.until = 0;
  }
}

/**
 * The volume that the running qube of this volume writes to: the copy beside it, or the volume itself if Qubes keeps no
 * revisions of it (revisions_to_keep = -1); undefined if none is running.
 */
function writtenBy(volume: string, { volumes }: PoolReport): string | undefined {
  const copy = runningName(volume);
  if (copy === undefined) return undefined;
  if (volumes.has(copy)) return copy;
  return volumes.get(volume)?.open === true ? volume : undefined;
}

function fullness({ data, metadata }: PoolReport): { what: 'data' | 'metadata'; percent: number } {
  return data >= metadata ? { what: 'data', percent: data } : { what: 'metadata', percent: metadata };
}

function taken(id: string, state: RunningState, report: PoolReport): Outcome<SnapshotRef> {
  const volume = report.volumes.get(snapshotName(id));
  if (volume === undefined) return { ok: false, error: new SparsebakError('source', `the snapshot ${id} was removed`) };
  return { ok: true, value: describe(id, state, volume, report) };
}

function describe(id: string, state: RunningState, volume: ThinVolume, report: PoolReport): SnapshotRef {
  return { id, time: Date.now(), size: volume.size, state, binding: bindingOf(volume, report) };
}

function bindingOf(volume: ThinVolume, { groupUuid, poolUuid }: PoolReport) {
  const { uuid, thinId, transaction, external } = volume;
  return { group: groupUuid, pool: poolUuid, volume: uuid, thinId, transaction, external };
}

/** This very snapshot, if it exists. */
function find(snapshot: SnapshotRef, report: PoolReport): ThinVolume | undefined {
  const volume = report.volumes.get(snapshotName(snapshot.id));
  if (volume?.size !== snapshot.size) return undefined;
  const binding = Object.entries(bindingOf(volume, report));
  return binding.every(([key, value]) => snapshot.binding[key] === value) ? volume : undefined;
}

async function deltaOf(
  { older, newer }: SnapshotPair,
  report: PoolReport,
  devices: ReadonlyMap<number, ThinDevice>,
  held: HeldMetadata,
): Promise<Delta> {
  const unknown = (reason: string): Delta => ({ kind: 'unknown', reason });
  const [left, right] = [find(older, report), find(newer, report)];
  if (left === undefined) return unknown('the older snapshot is gone or was replaced');
  if (right === undefined) return unknown('the newer snapshot is gone or was replaced');
  if (left.external !== right.external) return unknown('different volumes outside the pool are visible through them');
  const [leftDevice, rightDevice] = [devices.get(left.thinId), devices.get(right.thinId)];
  if (leftDevice?.transaction !== left.transaction || rightDevice?.transaction !== right.transaction) {
    return unknown("LVM and the pool's metadata do not mean the same devices");
  }
  try {
    const reader = new ThinDeltaReader(left.thinId, right.thinId);
    const args = ['-m', '--snap1', String(left.thinId), '--snap2', String(right.thinId), held.device];
    await readOutput('thin_delta', args, [], SILENCE, (text) => {
      reader.text(text);
    });
    const { ranges, leftBlocks, rightBlocks } = reader.end();
    if (leftBlocks !== leftDevice.mappedBlocks || rightBlocks !== rightDevice.mappedBlocks) {
      return unknown('thin_delta left out some of what is mapped');
    }
    if (!(await held.isSame())) return unknown("the pool's metadata were reserved again while they were read");
    const within = clip(ranges, newer.size);
    return { kind: 'ranges', ranges: within, bytes: bytesIn(within) };
  } catch (error) {
    return unknown(asSparsebakError(error, 'source').message);
  }
}

async function dump(held: HeldMetadata, options: readonly string[]): Promise<ThinDump> {
  const reader = new ThinDumpReader();
  await readOutput('thin_dump', ['-m', ...options, held.device], [], SILENCE, (text) => {
    reader.text(text);
  });
  return reader.end();
}
