/** The source of a pool, by its type. */
import { FileSource, type FilePool } from './file.ts';
import { ReflinkSource, type ReflinkPool } from './reflink.ts';
import { LvmThinSource, type LvmThinPool } from './lvm-thin/lvm-thin.ts';
import type { Source } from './source.ts';

export type PoolOptions =
  | ({ readonly type: 'lvm-thin' } & LvmThinPool)
  | ({ readonly type: 'reflink' } & ReflinkPool)
  | ({ readonly type: 'file' } & FilePool);

export function openSource(pool: PoolOptions): Source {
  switch (pool.type) {
    case 'lvm-thin':
      return new LvmThinSource(pool);
    case 'reflink':
      return new ReflinkSource(pool);
    case 'file':
      return new FileSource(pool);
  }
}
