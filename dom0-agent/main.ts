/** The agent's entry: the program in the main thread, a pipeline worker in its threads. */
import { isMainThread } from 'node:worker_threads';
import { isPipelineWorker, runPipelineWorker } from './pipeline/worker.ts';
import { main } from './cli/main.ts';

if (isMainThread) await main(process.argv.slice(2));
else if (isPipelineWorker()) runPipelineWorker();
