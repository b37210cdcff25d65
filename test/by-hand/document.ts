// The commands of docs/restore-by-hand.md, to be run as a reader would: in one shell, one block after the other.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const page = join(dirname(fileURLToPath(import.meta.url)), '../../docs/restore-by-hand.md');

/** What the reader fills in, as the page has it. */
const EXAMPLES = {
  archive: '/srv/backup/laptop',
  name: 'work/private.img',
  session: 'S_20261123-020000',
  target: '/var/tmp/restored.img',
  unpack: "'gzip -dc'          #",
} as const;

type Answers = Record<keyof typeof EXAMPLES, string>;

export function commandsOf(answers: Answers): string {
  const blocks = [...readFileSync(page, 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = '']) => block);
  return Object.entries(EXAMPLES).reduce((text, [variable, example]) => {
    const assignment = `${variable}=${example}`;
    if (text.split(assignment).length !== 2) throw new Error(`the page must say ${assignment} once`);
    const answer = answers[variable as keyof Answers];
    return text.replace(assignment, () => `${variable}='${answer}'${variable === 'unpack' ? ' #' : ''}`);
  }, blocks.join('\n'));
}
