/**
 * Records in dom0's state how the sends of volumes ended, for several volumes at a time. Until then the state says that
 * the outcome is unknown, and after a crash each send is settled like any other: by the receiver's newest head.
 */
import { asSparsebakError, type SparsebakError } from '../../shared/errors.ts';
import { ended, settled, type Ending, type SendRef } from '../capture/conclude.ts';
import type { Pool } from '../capture/pools.ts';

/** Milliseconds that an ending waits for others, and how many may wait together. */
const PATIENCE = 1000;
const TOGETHER = 64;

export class Endings {
  readonly #waiting = new Map<Pool, Ending[]>();
  /** Why an ending could not be recorded, by volume. */
  readonly failures = new Map<string, SparsebakError>();
  #count = 0;
  /** When the first waiting ending was added. */
  #since = 0;

  async add(pool: Pool, ending: Ending): Promise<void> {
    if (this.#count === 0) this.#since = performance.now();
    this.#waiting.set(pool, [...(this.#waiting.get(pool) ?? []), ending]);
    this.#count++;
    if (this.#count >= TOGETHER || performance.now() - this.#since >= PATIENCE) await this.flush();
  }

  /** Durable when it returns, except for the failures; never throws. */
  async flush(): Promise<void> {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    this.#count = 0;
    for (const [pool, endings] of waiting) {
      try {
        for (const [volume, error] of await ended(pool, endings)) this.failures.set(volume, error);
      } catch (caught) {
        for (const { send } of endings) this.failures.set(send.volume, asSparsebakError(caught));
      }
    }
  }
}

/** To be called when the catalogue that lists the heads of these sends is pinned. */
export async function settleAll(sends: readonly { readonly pool: Pool; readonly ref: SendRef }[]): Promise<void> {
  for (const pool of new Set(sends.map((each) => each.pool))) {
    await settled(
      pool,
      sends.filter((each) => each.pool === pool).map(({ ref }) => ref),
    );
  }
}
