/** Runs a command of this program in a process of its own, on the same terminal. */
import { SparsebakError } from '../../shared/errors.ts';

/** @param program the path of the core's bundle @returns the exit status */
export async function runSparsebak(program: string, args: readonly string[], signal: AbortSignal): Promise<number> {
  const { execa } = await import('execa');
  // A Ctrl-C reaches the whole process group, so the command ends by itself, in its own order.
  const running = execa(process.execPath, [...process.execArgv, program, ...args], {
    stdio: 'inherit',
    reject: false,
    cleanup: false,
  });
  // This one is often for this process alone, such as that of kill(1).
  const end = () => running.kill('SIGTERM');
  process.on('SIGTERM', end);
  const ended = await running.finally(() => process.off('SIGTERM', end));
  if (signal.aborted) throw new SparsebakError('interrupted', 'interrupted');
  if (ended.exitCode === undefined) {
    throw new SparsebakError('failed', `sparsebak ${args[0] ?? ''} was ended by ${ended.signal ?? 'a signal'}`);
  }
  return ended.exitCode;
}
