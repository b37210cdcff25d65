/**
 * Where passphrases come from: a file, a command, or a person at the terminal. Nothing prompts off a terminal.
 */
import { readFileSync } from 'node:fs';
import { SparsebakError } from '../../shared/errors.ts';
import { passphraseFrom } from '../link/passphrase-command.ts';
import { givenPath } from './working-folder.ts';

export interface PassphraseOptions {
  readonly passphraseFile?: string | undefined;
  readonly passphraseCommand?: string | undefined;
}

/**
 * @param confirm asks twice (a new passphrase)
 * @returns undefined where none was given and there is no terminal to ask at
 */
export async function readPassphrase(
  options: PassphraseOptions,
  question: string,
  confirm: boolean,
): Promise<Uint8Array | undefined> {
  if (options.passphraseFile !== undefined && options.passphraseCommand !== undefined) {
    throw new SparsebakError('usage', '--passphrase-file and --passphrase-command exclude each other');
  }
  if (options.passphraseFile !== undefined) return fromFile(options.passphraseFile);
  if (options.passphraseCommand !== undefined) {
    return notEmpty(
      withoutNewline(await passphraseFrom(options.passphraseCommand)),
      'the passphrase command printed nothing',
    );
  }
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const typed = notEmpty(Buffer.from(await askHidden(question)), 'an empty passphrase protects nothing');
  if (confirm && !typed.equals(Buffer.from(await askHidden('Again, to be sure')))) {
    throw new SparsebakError('usage', 'the two passphrases differ', { hint: 'Run the command again.' });
  }
  return typed;
}

function fromFile(path: string): Buffer {
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
  return notEmpty(withoutNewline(bytes), `the passphrase file ${path} is empty`);
}

/** The last newline is the editor's, not the passphrase's. */
function withoutNewline(bytes: Buffer): Buffer {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
}

function notEmpty(bytes: Buffer, message: string): Buffer {
  if (bytes.length === 0) throw new SparsebakError('usage', message);
  return bytes;
}

/** A line from the terminal, not shown. */
export async function askHidden(question: string): Promise<string> {
  return ask(question, true);
}

/** A line from the terminal. @throws `usage` off a terminal */
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
  // First the terminal stops echoing, then the question comes: the answer may follow at once.
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
