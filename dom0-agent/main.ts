/** The agent's entry: the program in the main thread, a pipeline worker in its threads. */
import { isMainThread } from 'node:worker_threads';

// Each loads only what it needs: a worker starts in half the time without the command line and the schemas.
if (isMainThread) await (await import('./cli/main.ts')).main(process.argv.slice(2));
else (await import('./pipeline/worker.ts')).runPipelineWorker();
