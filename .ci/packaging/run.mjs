import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/**
 * Runs a program to its end, in the same environment for everyone.
 * @param {string} program @param {string[]} args @param {{ date?: number, cwd?: string, home?: string }} [options]
 * @returns {Promise<string>} what it wrote to standard output
 * @throws with what it wrote to standard error, unless it succeeds
 */
export async function run(program, args, { date, cwd, home } = {}) {
  const env = {
    ...process.env,
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
    ...(date === undefined ? {} : { SOURCE_DATE_EPOCH: String(date) }),
    ...(home === undefined ? {} : { HOME: home }),
  };
  try {
    const { stdout } = await execute(program, args, { env, cwd, maxBuffer: 2 ** 26 });
    return stdout;
  } catch (error) {
    const { stderr = '', stdout = '', message } = /** @type {any} */ (error);
    throw new Error(`${program}: ${stderr || stdout || message}`, { cause: error });
  }
}
