/**
 * A question on a terminal. Off one nothing is asked: a timer has nobody to answer it.
 */
import { createInterface } from 'node:readline/promises';

export function isInteractive(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Whether the answer is yes; an end of input is none. */
export async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const gone = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  const answer = await Promise.race([lines.question(`${question} [y/N] `), gone]);
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
}
