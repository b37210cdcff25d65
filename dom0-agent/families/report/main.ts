/** `sparsebak report`: a bundle of its own (dom0-agent/cli/families.ts). */
import { runFamily } from '../../cli/family-program.ts';
import { addReport } from './command.ts';

export function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  return runFamily(args, signal, addReport);
}
