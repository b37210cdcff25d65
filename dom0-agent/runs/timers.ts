/** The timers of the package (qubes-rpc/systemd) that start the agent's commands. */
export const TIMERS = ['sparsebak-monitor.timer', 'sparsebak-send.timer', 'sparsebak-verify.timer'];
