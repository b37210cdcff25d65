/**
 * Whether another process waits for a lock of ours, by the kernel's list of locks. It does not list processes of other
 * containers, so nobody may rely on a "no" for long.
 */
import { readFileSync } from 'node:fs';

const WAITER = /^\d+:\s+-> FLOCK\s+\S+\s+\S+\s+\d+\s+[0-9a-f]+:[0-9a-f]+:(\d+)\s/;

/**
 * @param inode of the file that is locked; one of the same number on another file system may answer for it
 * @returns false, too, where there is no such list
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

/** The same of a list as the kernel writes it (proc_locks(5)). */
export function isInList(list: string, inode: bigint): boolean {
  return list.split('\n').some((line) => WAITER.exec(line)?.[1] === String(inode));
}
