/** Which of the two MACs is faster on this processor, for a new archive. */
import { randomBytes } from 'node:crypto';
import { MAC_NAMES, type MacName } from './mac-names.ts';
import { Mac } from './mac.ts';

/** MB/s (10^6 bytes). */
export type MacRates = Readonly<Record<MacName, number>>;

/** The time for measuring both, in milliseconds. */
const MEASURED_FOR = 50;

/** How many times as fast SHA-256 must be to be chosen: less is within what two measurements differ by. */
const WORTHWHILE = 1.1;

/**
 * Takes 50 ms, or one chunk by each if that takes longer. The two take turns, and the fastest chunk of each counts, so
 * that other load on the machine does not decide.
 * @param chunkSize bytes
 */
export function measureMacs(chunkSize: number): MacRates {
  const chunk = randomBytes(chunkSize);
  const macs = MAC_NAMES.map((name) => ({ name, mac: new Mac(name, randomBytes(32)) }));
  const fastest = { blake2b: Infinity, sha256: Infinity };
  const end = performance.now() + MEASURED_FOR;
  do {
    for (const { name, mac } of macs) {
      const began = performance.now();
      mac.of(32, chunk);
      fastest[name] = Math.min(fastest[name], performance.now() - began);
    }
  } while (performance.now() < end);
  const rate = (milliseconds: number): number => Math.round(chunkSize / 1000 / milliseconds);
  return { blake2b: rate(fastest.blake2b), sha256: rate(fastest.sha256) };
}

/** BLAKE2b unless SHA-256 is more than 10 % faster. */
export function fasterMac({ blake2b, sha256 }: MacRates): MacName {
  return sha256 > blake2b * WORTHWHILE ? 'sha256' : 'blake2b';
}
