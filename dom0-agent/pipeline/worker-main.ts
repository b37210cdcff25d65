/** A worker's entry in development, where the main program's file is another one. */
import { runPipelineWorker } from './worker.ts';

runPipelineWorker();
