/** The exchange of volumes in a pool, by its type. */
import { SparsebakError } from '../../shared/errors.ts';
import { FileExchange } from './exchange-files.ts';
import type { Exchange } from './exchange.ts';
import { ThinExchange } from './lvm-thin/exchange-volumes.ts';
import type { PoolOptions } from './open-source.ts';

/** @throws `target` for a pool that has no qubes */
export function exchangeOf(pool: PoolOptions): Exchange {
  switch (pool.type) {
    case 'reflink':
      return new FileExchange({ path: pool.path, followSymlinks: false });
    case 'lvm-thin':
      return new ThinExchange(pool.vgname, pool.poolname);
    case 'file':
      throw new SparsebakError('target', `${pool.path} is not a pool of Qubes`);
  }
}
