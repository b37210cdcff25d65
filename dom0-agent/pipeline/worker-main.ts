/** A worker's entry in development, where the main program is another file. */
import { runPipelineWorker } from './worker.ts';

runPipelineWorker();
