/** Workers for a command that reads chunks, ended with it. */
import { PipelinePool } from '../pipeline/pool.ts';
import type { ArchiveState } from '../trust/archive-state.ts';

export async function withWorkers<T>(state: ArchiveState, work: (pool: PipelinePool) => Promise<T>): Promise<T> {
  const { codec, level } = state.settings;
  const pool = new PipelinePool(state.content.chunkContent(level, codec));
  try {
    return await work(pool);
  } finally {
    await pool.close();
  }
}
