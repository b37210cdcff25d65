import type { Keeping } from './store.ts';

/** The default for how many catalogues and key slots are kept. */
export const KEEPING: Keeping = { catalogues: 32, days: 30, bytes: 2 ** 30 };
