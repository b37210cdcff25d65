/** Before something is taken away for good: a question on a terminal, `--yes` off one. */
import { SparsebakError } from '../../shared/errors.ts';
import { print } from './output.ts';
import { ask } from './secrets.ts';

/**
 * @param about what will happen, in lines for people
 * @throws `usage` off a terminal, `interrupted` where the answer is not yes
 */
export async function confirm(about: string, question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new SparsebakError('usage', `${question} There is no terminal to ask at`, {
      hint: 'Give --yes if that is what you want.',
    });
  }
  print(about, 2);
  const answer = (await ask(`${question} [y/N]`)).trim().toLowerCase();
  if (answer !== 'y' && answer !== 'yes') throw new SparsebakError('interrupted', 'nothing was changed');
}
