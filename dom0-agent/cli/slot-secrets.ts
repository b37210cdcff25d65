/** The secrets of key slots: asked for, read from files, or created. */
import { readFileSync } from 'node:fs';
import { SparsebakError } from '../../shared/errors.ts';
import { formatRecoveryKey, newRecoveryKey, parseRecoveryKey } from '../content/recovery-key.ts';
import type { SlotKind, SlotSecret } from '../content/slot.ts';
import { askHidden, readPassphrase, type PassphraseOptions } from './secrets.ts';
import { givenPath } from './working-folder.ts';

export interface KeyOptions extends PassphraseOptions {
  readonly recoveryKeyFile?: string;
  readonly recovery?: boolean;
}

/** The secret for an existing slot. @throws `usage` if none is given and there is no terminal */
export async function givenSecret(options: KeyOptions): Promise<SlotSecret> {
  if (options.recoveryKeyFile !== undefined) {
    return { kind: 'recovery', key: parseRecoveryKey(readText(options.recoveryKeyFile)) };
  }
  if (options.recovery === true) return { kind: 'recovery', key: parseRecoveryKey(await askHidden('Recovery key')) };
  const passphrase = await readPassphrase(options, 'Passphrase', false);
  if (passphrase !== undefined) return { kind: 'passphrase', passphrase };
  throw new SparsebakError('usage', 'a passphrase or recovery key is needed', {
    hint: 'Without a terminal, give --passphrase-file, --passphrase-command or --recovery-key-file.',
  });
}

/** The secret that seals a new slot; `shown` is a recovery key for the user to write down. */
export async function newSecret(
  kind: SlotKind,
  options: KeyOptions,
): Promise<{ secret: SlotSecret; shown: string | undefined }> {
  if (kind === 'recovery') {
    const key = newRecoveryKey();
    return { secret: { kind, key }, shown: formatRecoveryKey(key) };
  }
  const passphrase = await readPassphrase(options, 'New passphrase', true);
  if (passphrase !== undefined) return { secret: { kind, passphrase }, shown: undefined };
  throw new SparsebakError('usage', 'a new passphrase is needed', {
    hint: 'Without a terminal, give --passphrase-file or --passphrase-command.',
  });
}

function readText(path: string): string {
  try {
    return readFileSync(givenPath(path), 'utf8');
  } catch (error) {
    throw new SparsebakError('usage', `${path} cannot be read`, {
      hint: 'Check its name and permissions.',
      cause: error,
    });
  }
}
