/**
 * Whether another process waits for one of our locks, by the kernel's list of locks. The list leaves out processes of
 * other containers, so do not rely on a "no" for long.
 */
import { readFileSync } from 'node:fs';

const WAITER = /^\d+:\s+-> FLOCK\s+\S+\s+\S+\s+\d+\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s/;

/**
 * @param inode of the locked file; a file with the same number on another file system counts as well
 * @returns false also if the kernel has no such list
 */
export function isWaitedFor(inode: bigint): boolean {
  let list: string;
  try {
    list = readFileSync('/proc/locks', 'latin1');
  } catch {
    return false;
  }
  return isInList(list, inode);
}

/** The same for a list in the kernel's format (proc_locks(5)). */
export function isInList(list: string, inode: bigint): boolean {
  return list.split('\n').some((line) => WAITER.exec(line)?.[1] === String(inode));
}
