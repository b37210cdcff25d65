/** The source of a pool, by its type. */
import { FileSource, type FilePool } from './file.ts';
import { ReflinkSource, type ReflinkPool } from './reflink.ts';
import type { Source } from './source.ts';

export type PoolOptions = ({ readonly type: 'reflink' } & ReflinkPool) | ({ readonly type: 'file' } & FilePool);

export function openSource(pool: PoolOptions): Source {
  switch (pool.type) {
    case 'reflink':
      return new ReflinkSource(pool);
    case 'file':
      return new FileSource(pool);
  }
}
