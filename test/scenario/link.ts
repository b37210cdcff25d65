// Which way the agent reaches its receiver in a scenario: as a local process, or through the stand-in for qrexec. The files in
// over-qrexec/ run the same scenarios the second way.

export type LabLink = 'local' | 'qubes';

export const LINK: LabLink = process.env.SPARSEBAK_TEST_LINK === 'qubes' ? 'qubes' : 'local';

/** The qube that keeps the archives. */
export const VAULT = 'vault';
