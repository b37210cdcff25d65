// Thin pools to try things on, and their volumes, changed as users do: by LVM's commands and by writing to devices.

import { closeSync, existsSync, fsyncSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { LvmThinSource, type LvmThinPool } from '../../../dom0-agent/source/lvm-thin/lvm-thin.ts';
import type { ByteRange } from '../../../dom0-agent/source/source.ts';
import type { PoolUnderTest } from '../../dom0-agent/source/conformance.ts';
import { lvs, run, succeeds } from './commands.ts';

export const GROUP = 'qubes_dom0';
/** What sizes are rounded up to. Small, so that they can be odd. */
const EXTENT = 64 * 1024;

const STATE = '/tmp/state';

export interface PoolShape {
  readonly group?: string;
  readonly disk?: string;
  readonly chunk?: string;
  readonly size?: string;
  readonly metadata?: string;
}

export class ThinPool implements PoolUnderTest {
  readonly flat = true;
  readonly rounds = 5;
  readonly group: string;
  readonly name: string;
  readonly source: LvmThinSource;

  private constructor(name: string, group: string) {
    this.name = name;
    this.group = group;
    this.source = this.sourceWith({});
  }

  /** Made when it is first asked for. */
  static named(name: string, shape: PoolShape = {}): ThinPool {
    const { group = GROUP, disk = 'pv', chunk = '64k', size = '2g', metadata = '16m' } = shape;
    if (!succeeds('vgs', group)) run('vgcreate', '-s', '64k', group, `/dev/disk/${disk}`);
    if (!lvs(group, 'lv_uuid').has(name)) {
      const options = ['-L', size, '-c', chunk, '--poolmetadatasize', metadata, '-Zn'];
      run('lvcreate', '--type', 'thin-pool', ...options, '-n', name, group);
    }
    return new ThinPool(name, group);
  }

  sourceWith(options: Partial<LvmThinPool>): LvmThinSource {
    const pool = { vgname: this.group, poolname: this.name, state: 'stopped', full_at: 90, stateDir: STATE } as const;
    return new LvmThinSource({ ...pool, patience: 2, ...options });
  }

  path(name: string): string {
    return `/dev/${this.group}/${name}`;
  }

  create(name: string, size: number): void {
    run('lvcreate', '-kn', '-ay', '--thin', '-V', `${rounded(size)}b`, '-n', name, `${this.group}/${this.name}`);
  }

  /** A writable snapshot, as Qubes makes them. */
  clone(from: string, to: string): void {
    run('lvcreate', '-kn', '-ay', '-s', '-n', to, `${this.group}/${from}`);
  }

  rename(from: string, to: string): void {
    run('lvrename', this.group, from, to);
  }

  size(name: string): number {
    return Number(run('blockdev', '--getsize64', this.path(name)));
  }

  write(name: string, offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.size(name)) this.resize(name, offset + bytes.length);
    const device = openSync(this.path(name), 'r+');
    for (let done = 0; done < bytes.length;) done += writeSync(device, bytes, done, bytes.length - done, offset + done);
    fsyncSync(device);
    closeSync(device);
  }

  /** Where the alignment is too small for the pool, it writes zeros. */
  discard(name: string, { offset, length }: ByteRange): void {
    const [from, to] = [Math.ceil(offset / 512) * 512, Math.floor((offset + length) / 512) * 512];
    if (to > from) run('blkdiscard', '-o', String(from), '-l', String(to - from), this.path(name));
  }

  resize(name: string, size: number): void {
    if (rounded(size) === this.size(name)) return;
    run('lvresize', '--force', '--yes', '-L', `${rounded(size)}b`, `${this.group}/${name}`);
  }

  drop(name: string): void {
    run('lvremove', '--yes', `${this.group}/${name}`);
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  /** Everything but the pool itself. */
  clear(): void {
    run('lvremove', '--yes', '--select', `pool_lv="${this.name}"`, this.group);
  }

  status(): string {
    return run('dmsetup', 'status', this.device);
  }

  get device(): string {
    return `${this.group}-${this.name.replaceAll('-', '--')}-tpool`;
  }

  message(text: string): void {
    run('dmsetup', 'message', this.device, '0', text);
  }

  /** The device's number in the pool. */
  thinId(name: string): number {
    return Number(lvs(this.group, 'thin_id').get(name));
  }

  has(name: string): boolean {
    return lvs(this.group, 'lv_uuid').has(name);
  }

  /** Names that begin so. */
  names(prefix: string): string[] {
    return [...lvs(this.group, 'lv_uuid').keys()].filter((name) => name.startsWith(prefix));
  }

  isActive(name: string): boolean {
    return lvs(this.group, 'lv_attr').get(name)?.[4] === 'a';
  }

  /** Bytes of the pool that a volume has mapped. */
  mappedBytes(name: string): number {
    return (Number(lvs(this.group, 'data_percent').get(name)) / 100) * this.size(name);
  }

  /** Sectors of 512 bytes that were read of the pool's metadata since it was activated. */
  metadataRead(): number {
    const [device] = readdirSync('/sys/block').filter((each) => {
      const name = `/sys/block/${each}/dm/name`;
      return existsSync(name) && readFileSync(name, 'utf8').trim() === this.device.replace(/-tpool$/, '_tmeta');
    });
    return Number(
      readFileSync(`/sys/block/${device ?? ''}/stat`, 'utf8')
        .trim()
        .split(/ +/)[2],
    );
  }

  /** Whether a copy of the metadata is reserved. */
  get isReserved(): boolean {
    return / \d+\/\d+ \d+\/\d+ \d+ /.test(this.status());
  }

  /** The name of our snapshot of a volume. */
  snapshotOf(volume: string): string {
    const [found] = [...lvs(this.group, 'lv_tags')].filter(([, tags]) => tags === `sparsebak.stopped=${volume}`);
    return found?.[0] ?? '';
  }

  /** Snapshots of ours: name and whether it is active. */
  ownSnapshots(): { name: string; active: boolean }[] {
    return [...lvs(this.group, 'lv_attr')].flatMap(([name, attributes]) =>
      name.startsWith('vm-sparsebak-') ? [{ name, active: attributes[4] === 'a' }] : [],
    );
  }
}

export function rounded(size: number): number {
  return Math.max(1, Math.ceil(size / EXTENT)) * EXTENT;
}
