/** dom0's programs that can call a service in a qube. */
export const QUBES_CLIENTS = ['qrexec-client', 'qvm-run'] as const;
export type QubesClient = (typeof QUBES_CLIENTS)[number];
