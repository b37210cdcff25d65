/**
 * The machine that dom0's state and snapshots live on, as far as faults go: it counts operations, and at one of them it
 * fails or loses power. What was not durable by then is lost, kept or torn as the coin says.
 */
import { SparsebakError } from '../../../../shared/errors.ts';
import type { Random } from '../../../fixtures/random.ts';

/** Power loss. No operation works after it; only `restart` helps. */
export class PowerLoss extends Error {}

export type Fault =
  | { readonly kind: 'none' }
  /** Power is lost at this operation, half-way. */
  | { readonly kind: 'crash'; readonly at: number }
  /** This operation fails once, or it and all after it; its work may be done or not. */
  | { readonly kind: 'fail'; readonly at: number; readonly lasting: boolean };

export class Machine {
  readonly coin: Random;
  #fault: Fault = { kind: 'none' };
  #dead = false;
  /** Operations so far, over all restarts. */
  operations = 0;
  /** Faults that struck. */
  struck = 0;
  /** One of them was a failure with power on: dom0 may have gone on from what was visible and not durable. */
  failed = false;

  constructor(coin: Random) {
    this.coin = coin;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Whether a fault is still to come, or went on to the end. */
  get planned(): boolean {
    return this.#fault.kind !== 'none';
  }

  plan(fault: Fault): void {
    this.#fault = fault;
  }

  /** `halves` are done one after another; a fault lets the coin say how many of them. */
  operation(name: string, ...halves: (() => void)[]): void {
    if (this.#dead) throw new PowerLoss(`${name} after the power loss`);
    this.operations += 1;
    const fault = this.#fault;
    const strikes =
      fault.kind !== 'none' &&
      (this.operations === fault.at || (fault.kind === 'fail' && fault.lasting && this.operations > fault.at));
    if (!strikes) {
      for (const half of halves) half();
      return;
    }
    this.struck += 1;
    for (const half of halves.slice(0, this.coin.int(halves.length + 1))) half();
    this.failed ||= fault.kind === 'fail';
    if (fault.kind === 'fail') throw new SparsebakError('io', `${name} failed (operation ${this.operations})`);
    this.#dead = true;
    throw new PowerLoss(`power lost at ${name} (operation ${this.operations})`);
  }

  /** Reading changes nothing, but no one reads without power. */
  reading(name: string): void {
    if (this.#dead) throw new PowerLoss(`${name} after the power loss`);
  }

  /** Power is back, and what was broken is repaired. */
  restart(): void {
    this.#dead = false;
    this.#fault = { kind: 'none' };
  }
}
