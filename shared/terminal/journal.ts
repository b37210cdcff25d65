/**
 * Lines for systemd's journal. A service whose standard error is connected to the journal marks the priority of each
 * line by a prefix (sd-daemon(3)), so that `journalctl -p warning` finds it.
 */
import { fstatSync } from 'node:fs';

/** The numbers of syslog(3). */
export const PRIORITY = { error: 3, warning: 4, notice: 5, info: 6, debug: 7 } as const;
export type Priority = keyof typeof PRIORITY;

/**
 * Whether this descriptor leads to the journal. JOURNAL_STREAM has its device and inode, which must be compared:
 * children inherit the variable with descriptors that lead elsewhere.
 */
export function isJournal(fd: number, { JOURNAL_STREAM: stream = '' }: NodeJS.ProcessEnv = process.env): boolean {
  const [, device, inode] = /^(\d+):(\d+)$/.exec(stream) ?? [];
  if (device === undefined || inode === undefined) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return dev === BigInt(device) && ino === BigInt(inode);
  } catch {
    return false;
  }
}

/** Each line of the text with the prefix. */
export function withPriority(text: string, priority: Priority): string {
  return text
    .split('\n')
    .map((line) => `<${PRIORITY[priority]}>${line}`)
    .join('\n');
}

/** The priority for one of pino's levels. */
export function priorityOf(level: number): Priority {
  if (level >= 50) return 'error';
  if (level >= 40) return 'warning';
  return level >= 30 ? 'info' : 'debug';
}
