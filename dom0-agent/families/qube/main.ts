/** `sparsebak qube`: a bundle of its own (dom0-agent/cli/families.ts). In other threads it is a pipeline worker. */
import { isMainThread } from 'node:worker_threads';

// Loaded only where it is needed, as in the core's main.ts: a worker starts in half the time.
if (!isMainThread) void import('../../pipeline/worker.ts').then(({ runPipelineWorker }) => runPipelineWorker());

export async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const [{ runFamily }, { addQube }] = await Promise.all([
    import('../../cli/family-program.ts'),
    import('./command.ts'),
  ]);
  return await runFamily(args, signal, addQube);
}
