import './node-version.ts';
import { asSparsebakError } from '../shared/errors.ts';
import { run } from './cli/program.ts';

// No top-level await: the bundle is CommonJS, as every Node from 20.0 on treats a single `.js` file.
run(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(`sparsebak-receiver: ${asSparsebakError(error).message}\n`);
    process.exitCode = 1;
  },
);
