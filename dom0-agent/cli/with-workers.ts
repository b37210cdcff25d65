/** Workers for a command that reads chunks; they end with it. */
import { WorkerGroup } from '../pipeline/worker-group.ts';
import type { ArchiveState } from '../proven-archive/archive-state.ts';

export async function withWorkers<T>(state: ArchiveState, work: (pool: WorkerGroup) => Promise<T>): Promise<T> {
  const { codec, level } = state.settings;
  const pool = new WorkerGroup(state.content.chunkContent(level, codec));
  pool.expect(Infinity);
  try {
    return await work(pool);
  } finally {
    await pool.close();
  }
}
