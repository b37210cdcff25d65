/** How long things may take, in milliseconds. Tests have less time. */
export interface Timing {
  /** Between two `working`, while a request waits. */
  readonly working: number;
  /** Nothing heard, or nothing written, for so long: the other side is gone. */
  readonly silence: number;
}

export const TIMING: Timing = { working: 5_000, silence: 120_000 };
