import { asSparsebakError } from '../shared/errors.ts';
import { run } from './cli/program.ts';

// No await at the top: the bundle is CommonJS, which every Node from 20.0 on takes a lone `.js` file for.
run(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(`sparsebak-receiver: ${asSparsebakError(error).message}\n`);
    process.exitCode = 1;
  },
);
