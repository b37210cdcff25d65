/** Where passphrases come from: a file, a command, or the terminal. Without a terminal nothing prompts. */
import { readFileSync } from 'node:fs';
import { SparsebakError } from '../../shared/errors.ts';
import { equalBytes } from '../content/bytes.ts';
import { passphraseOf, type Passphrase } from '../content/passphrase.ts';
import { passphraseFrom } from '../process/passphrase-command.ts';
import { givenPath } from './working-folder.ts';

export interface PassphraseOptions {
  readonly passphraseFile?: string | undefined;
  readonly passphraseCommand?: string | undefined;
}

/**
 * @param confirm asks twice (a new passphrase)
 * @returns undefined if none was given and there is no terminal
 */
export async function readPassphrase(
  options: PassphraseOptions,
  question: string,
  confirm: boolean,
): Promise<Passphrase | undefined> {
  if (options.passphraseFile !== undefined && options.passphraseCommand !== undefined) {
    throw new SparsebakError('usage', '--passphrase-file and --passphrase-command exclude each other');
  }
  if (options.passphraseFile !== undefined) return fromFile(options.passphraseFile);
  if (options.passphraseCommand !== undefined) {
    return notEmpty(await passphraseFrom(options.passphraseCommand), 'the passphrase command printed nothing');
  }
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const typed = await askPassphrase(question, confirm);
  if (confirm && !equalBytes(typed.bytes, (await askPassphrase('Repeat it', true)).bytes)) {
    throw new SparsebakError('usage', 'the two passphrases differ', { hint: 'Run the command again.' });
  }
  return typed;
}

/** The decoder puts this in place of all invalid UTF-8, which would make different passphrases equal. */
const REPLACEMENT = '\ufffd';

async function askPassphrase(question: string, isNew: boolean): Promise<Passphrase> {
  const text = await askHidden(question);
  if (isNew && text.includes(REPLACEMENT)) {
    throw new SparsebakError(
      'usage',
      'this terminal does not send UTF-8: the passphrase cannot be read as it was typed',
      {
        hint: 'Set the terminal to UTF-8, or give --passphrase-file.',
      },
    );
  }
  return notEmpty(Buffer.from(text), 'an empty passphrase protects nothing');
}

function fromFile(path: string): Passphrase {
  let bytes: Buffer;
  try {
    bytes = readFileSync(givenPath(path));
  } catch (error) {
    if (error instanceof SparsebakError) throw error;
    throw new SparsebakError('usage', `the passphrase file ${path} cannot be read`, {
      hint: 'Check its name and permissions.',
      cause: error,
    });
  }
  return notEmpty(bytes, `the passphrase file ${path} is empty`);
}

function notEmpty(given: Uint8Array, message: string): Passphrase {
  const passphrase = passphraseOf(given);
  if (passphrase === undefined) throw new SparsebakError('usage', message);
  return passphrase;
}

/** A line from the terminal, not shown. */
export async function askHidden(question: string): Promise<string> {
  return ask(question, true);
}

/** A line from the terminal. @throws `usage` without a terminal */
export async function ask(question: string, hidden = false): Promise<string> {
  if (!process.stdin.isTTY)
    throw new SparsebakError('usage', `"${question}" needs an answer, and there is no terminal`);
  const { createInterface } = await import('node:readline');
  const { Writable } = await import('node:stream');
  const muted = new Writable({
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  // The terminal stops echoing before the question is shown: the answer may follow at once.
  const reader = createInterface({ input: process.stdin, output: hidden ? muted : process.stderr, terminal: true });
  process.stderr.write(`${question}: `);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let interrupt = (): void => undefined;
  try {
    return await new Promise<string>((resolve, reject) => {
      reader.once('line', resolve);
      interrupt = () => {
        reject(new SparsebakError('interrupted', 'interrupted'));
      };
      reader.once('SIGINT', interrupt);
      for (const signal of signals) process.on(signal, interrupt);
      reader.once('close', () => {
        reject(new SparsebakError('interrupted', 'no answer'));
      });
    });
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
    reader.close();
    if (hidden) process.stderr.write('\n');
  }
}
