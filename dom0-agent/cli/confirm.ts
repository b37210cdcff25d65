/** Asks before something is removed permanently: a question on a terminal, `--yes` without one. */
import { SparsebakError } from '../../shared/errors.ts';
import { print } from './output.ts';
import { ask } from './secrets.ts';

/**
 * @param about what will happen, in lines for people
 * @throws `usage` without a terminal, `interrupted` if the answer is not yes
 */
export async function confirm(about: string, question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new SparsebakError('usage', `${question} There is no terminal to ask on`, {
      hint: 'Give --yes to confirm.',
    });
  }
  print(about, 2);
  const answer = (await ask(`${question} [y/N]`)).trim().toLowerCase();
  if (answer !== 'y' && answer !== 'yes') throw new SparsebakError('interrupted', 'nothing was changed');
}
