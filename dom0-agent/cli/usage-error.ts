import type { CommanderError } from 'commander';
import { SparsebakError } from '../../shared/errors.ts';

/** Commander's complaint as an error of ours. */
export function usageOf(error: CommanderError): SparsebakError {
  const message = error.message.replace(/^error: /, '');
  return new SparsebakError('usage', message === '(outputHelp)' ? 'a command is missing' : message, {
    hint: 'See "sparsebak --help".',
  });
}
