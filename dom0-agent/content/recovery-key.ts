/**
 * The printed form of a recovery key: 32 random bytes and a checksum of 3 (the first of their SHA-256), in Crockford's
 * base32, 8 groups of 7 digits. https://www.crockford.com/base32.html
 */
import { createHash, randomBytes } from 'node:crypto';
import { SparsebakError } from '../../shared/errors.ts';
import { equalBytes, plain } from './bytes.ts';

const KEY_LENGTH = 32;
const CHECKSUM_LENGTH = 3;
const GROUP = 7;
const DIGITS = ((KEY_LENGTH + CHECKSUM_LENGTH) * 8) / 5;
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
/** Letters that are easily taken for a digit. */
const LOOKALIKES: Readonly<Record<string, string>> = { O: '0', I: '1', L: '1' };

/**
 * Blanks, dashes (Unicode does not count the minus sign as one) and format characters, which word processors and web
 * pages insert.
 */
const SEPARATORS = /[\s\p{Zs}\p{Pd}\p{Cf}\u2212]/gu;

/** 32 random bytes. */
export function newRecoveryKey(): Uint8Array {
  return plain(randomBytes(KEY_LENGTH));
}

/** `XXXXXXX-XXXXXXX-…`, 56 digits in 8 groups. */
export function formatRecoveryKey(key: Uint8Array): string {
  let bits = BigInt(`0x${Buffer.concat([key, checksum(key)]).toString('hex')}`);
  const digits: string[] = [];
  for (let count = 0; count < DIGITS; count++) {
    digits.unshift(ALPHABET.charAt(Number(bits % 32n)));
    bits /= 32n;
  }
  const groups = Array.from({ length: DIGITS / GROUP }, (_, group) => digits.slice(group * GROUP, (group + 1) * GROUP));
  return groups.map((group) => group.join('')).join('-');
}

/**
 * The key's 32 bytes. Case, blanks, dashes of any kind and invisible characters do not matter, nor do wide forms of the
 * digits; O, I and L are read as 0, 1 and 1.
 * @throws SparsebakError `wrong-passphrase` if it was mistyped, which is detected before any key is tried
 */
export function parseRecoveryKey(text: string): Uint8Array {
  const typed = text.normalize('NFKC').toUpperCase().replaceAll(SEPARATORS, '');
  const digits = Array.from(typed, (digit) => LOOKALIKES[digit] ?? digit);
  if (digits.length !== DIGITS) throw mistyped(`it has ${digits.length} characters, not ${DIGITS}`);
  const wrong = digits.findIndex((digit) => !ALPHABET.includes(digit));
  if (wrong !== -1)
    throw mistyped(
      `character ${(wrong % GROUP) + 1} of group ${Math.floor(wrong / GROUP) + 1} is not one of its digits`,
    );
  let bits = 0n;
  for (const digit of digits) bits = bits * 32n + BigInt(ALPHABET.indexOf(digit));
  const decoded = Buffer.from(bits.toString(16).padStart((KEY_LENGTH + CHECKSUM_LENGTH) * 2, '0'), 'hex');
  const key = plain(decoded.subarray(0, KEY_LENGTH));
  if (!equalBytes(decoded.subarray(KEY_LENGTH), checksum(key))) throw mistyped('its checksum is wrong');
  return key;
}

function checksum(key: Uint8Array): Buffer {
  return createHash('sha256').update(key).digest().subarray(0, CHECKSUM_LENGTH);
}

function mistyped(reason: string): SparsebakError {
  return new SparsebakError('wrong-passphrase', `the recovery key is mistyped: ${reason}`, {
    hint: 'Compare it with the printed key, group by group.',
  });
}
