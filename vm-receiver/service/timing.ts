/** Time limits in milliseconds. Tests use shorter ones. */
export interface Timing {
  /** Interval of `working` while a request waits. */
  readonly working: number;
  /** After this long without reading or writing anything, the agent counts as gone. */
  readonly silence: number;
}

export const TIMING: Timing = { working: 5_000, silence: 120_000 };
