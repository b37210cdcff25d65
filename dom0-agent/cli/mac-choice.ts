/** The MAC of a new archive: the user's choice, or the faster one on this processor. */
import type { MacName } from '../content/mac-names.ts';
import { fasterMac, measureMacs, type MacRates } from '../content/mac-speed.ts';

/** Why the archive has its MAC. */
export type MacChoice =
  | { readonly by: 'option' }
  | { readonly by: 'speed'; readonly rates: MacRates }
  /** An `init` that made the archive's key, and did not finish. */
  | { readonly by: 'earlier-init' };

/** @param chunkSize bytes */
export function chooseMac(
  identity: 'auto' | MacName,
  chunkSize: number,
): { readonly mac: MacName; readonly choice: MacChoice } {
  if (identity !== 'auto') return { mac: identity, choice: { by: 'option' } };
  const rates = measureMacs(chunkSize);
  return { mac: fasterMac(rates), choice: { by: 'speed', rates } };
}

const TITLES = { blake2b: 'BLAKE2b', sha256: 'SHA-256' } as const satisfies Record<MacName, string>;

/** One sentence. */
export function describeMac(mac: MacName, choice: MacChoice): string {
  return `Chunks are identified with HMAC-${TITLES[mac]}${reasonFor(choice)}.`;
}

function reasonFor(choice: MacChoice): string {
  if (choice.by === 'earlier-init') return ', which the earlier init chose';
  if (choice.by === 'option') return ', as --identity says';
  const { blake2b, sha256 } = choice.rates;
  return `: measured here, BLAKE2b does ${blake2b} MB/s, SHA-256 ${sha256}`;
}
