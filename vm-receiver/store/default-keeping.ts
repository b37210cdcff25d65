import type { Keeping } from './store.ts';

/** What is kept of catalogues and key slots where the configuration does not say otherwise. */
export const KEEPING: Keeping = { catalogues: 32, days: 30, bytes: 2 ** 30 };
