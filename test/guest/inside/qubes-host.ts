// A host of Qubes whose qubes are in thin pools, by the stand-in of qubesd.

import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { Qubesd } from '../../fixtures/qubesd/qubesd.ts';
import { Backup } from './guest-backup.ts';
import { ThinPool } from './thin-pool.ts';

export const MIB = 1024 * 1024;
/** Bytes of new volumes. */
export const SIZES = { root: 4 * MIB, private: 2 * MIB };

export class QubesHost {
  readonly qubesd: Qubesd;
  /** Any volume is read and written by it, as all pools are of one group. */
  readonly pool: ThinPool;
  readonly #pools: readonly ThinPool[];

  private constructor(qubesd: Qubesd, pools: readonly [ThinPool, ThinPool]) {
    this.qubesd = qubesd;
    this.#pools = pools;
    [this.pool] = pools;
  }

  /** Without qubes. Its pools are `first`, the default, and `second`. */
  static async start(test: TestContext): Promise<QubesHost> {
    const first = ThinPool.named('vm-pool');
    const second = ThinPool.named('b-pool', { size: '256m' });
    const pools = Object.entries({ first, second }).map(([name, { group, name: thinPool }]) => {
      return { name, driver: 'lvm_thin', volumeGroup: group, thinPool } as const;
    });
    const qubesd = await Qubesd.start({ pools, sizes: SIZES, populated: false });
    test.after(async () => {
      await qubesd.stop();
      first.clear();
      second.clear();
    });
    return new QubesHost(qubesd, [first, second]);
  }

  backup(test: TestContext, include: readonly string[]): Backup {
    const backup = new Backup(test);
    const read = (volume: string): Buffer => this.read(volume);
    backup.configureQubes({ socket: this.qubesd.socket, include, pools: this.#pools, read });
    return backup;
  }

  /** The device of a volume such as `work:private`, which its qube writes to. */
  device(volume: string): string {
    const name = `vm-${volume.replace(':', '-')}`;
    return existsSync(this.pool.path(`${name}-snap`)) ? `${name}-snap` : name;
  }

  read(volume: string): Buffer {
    return this.pool.read(this.device(volume));
  }

  write(volume: string, offset: number, bytes: Uint8Array): void {
    this.pool.write(this.device(volume), offset, bytes);
  }

  async start(qube: string): Promise<void> {
    await this.qubesd.ok('admin.vm.Start', qube);
  }

  async stop(qube: string): Promise<void> {
    await this.qubesd.ok('admin.vm.Shutdown', qube);
  }

  /** Bytes, as qubesd knows it. */
  async size(volume: string): Promise<number> {
    const [qube = '', name = ''] = volume.split(':');
    return Number((await this.qubesd.volume(qube, name)).size);
  }
}
