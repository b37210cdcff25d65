/** The agent's entry: the command line in the main thread, a pipeline worker in other threads. */
import { isMainThread } from 'node:worker_threads';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(
    `sparsebak: it needs Node 22.15 or newer (for zstd), and ${process.execPath} is ${process.versions.node}: ` +
      'install the package sparsebak-node, or a newer Node\n',
  );
  process.exit(2);
}

// Each loads only what it needs: without the command line and the schemas, a worker starts in half the time.
// No top-level await: the bundle is CommonJS.
if (isMainThread) void import('./cli/main.ts').then(({ main }) => main(process.argv.slice(2)));
else void import('./pipeline/worker.ts').then(({ runPipelineWorker }) => runPipelineWorker());
