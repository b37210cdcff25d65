// In the place of node:worker_threads for the pool of workers: a thread loads what lies beside the agent for it alone.

import { Worker as Thread, type WorkerOptions } from 'node:worker_threads';

export class Worker extends Thread {
  constructor(_file: string, options: WorkerOptions) {
    super(new URL('./thread.mjs', import.meta.url), options);
  }
}
