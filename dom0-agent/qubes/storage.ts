/** Where Qubes' storage pools keep volumes, by their driver: the source that reads them, and their names in it. */
import { SparsebakError } from '../../shared/errors.ts';
import { isLvName } from '../source/lvm-thin/lvm-names.ts';
import { openSource, type PoolOptions } from '../source/open-source.ts';
import type { RunningState, Source } from '../source/source.ts';
import type { QubesPool, QubeVolume } from './qubesd.ts';

export interface StorageOptions {
  readonly state: RunningState;
  /** Percent of a thin pool's data or metadata above which no snapshot is made. */
  readonly fullAt: number;
  readonly stateDir: string;
}

/** A pool of Qubes that sparsebak can read. */
export interface Storage {
  /** Its name in Qubes. */
  readonly pool: string;
  readonly options: PoolOptions;
  readonly source: Source;
}

/** @throws `source` for a driver whose volumes cannot be snapshotted */
export function storageOf(pool: QubesPool, options: StorageOptions): Storage {
  const poolOptions = optionsOf(pool, options);
  return { pool: pool.name, options: poolOptions, source: openSource(poolOptions) };
}

function optionsOf({ name, driver, fields }: QubesPool, { state, fullAt, stateDir }: StorageOptions): PoolOptions {
  const { dir_path: folder = '', volume_group: vgname = '', thin_pool: poolname = '' } = fields;
  if (driver === 'file-reflink' && folder.startsWith('/')) return { type: 'reflink', path: folder, state };
  if (driver === 'lvm_thin' && isLvName(vgname) && isLvName(poolname)) {
    return { type: 'lvm-thin', ...{ vgname, poolname, state, full_at: fullAt, stateDir } };
  }
  throw new SparsebakError('source', `Qubes' pool ${name} has the driver "${driver}", whose volumes cannot be saved`, {
    hint: 'Pools of the drivers file-reflink and lvm_thin can. Move the qube to one of them, or exclude it.',
  });
}

/**
 * The name of a volume in its pool's source: `appvms/mail/private.img`, or `vm-mail-private`.
 * @throws `source` if its vid has another form
 */
export function nameInPool({ vid }: Pick<QubeVolume, 'vid'>, { options }: Storage): string {
  if (options.type === 'reflink') return `${vid}.img`;
  if (options.type === 'lvm-thin') {
    const [group, name = '', ...more] = vid.split('/');
    if (group === options.vgname && isLvName(name) && more.length === 0) return name;
  }
  throw new SparsebakError('source', `"${vid}" is not the name of a volume as its pool names them`);
}
