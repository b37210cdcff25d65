// Which way the agent reaches its receiver in a scenario: as a local process, or through the stand-in for qrexec.

export type SystemLink = 'local' | 'qubes';

export const LINK: SystemLink = process.env.SPARSEBAK_LINK === 'qubes' ? 'qubes' : 'local';

/** The ways to try what a link can change in every run: both, unless one was asked for. */
export const BOTH_LINKS: readonly SystemLink[] = LINK === 'qubes' ? ['qubes'] : ['local', 'qubes'];

/** The qube that keeps the archives. */
export const VAULT = 'vault';
