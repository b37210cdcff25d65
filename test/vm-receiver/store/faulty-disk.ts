// A disk whose nth operation fails.

import type { Disk } from '../../../vm-receiver/store/files/disk/disk.ts';

export interface Fault {
  /** Which operation fails, counted from 1. */
  readonly at: number;
  /** As the system names it. */
  readonly code: string;
  /** Whether all that come after it fail too. */
  readonly forever: boolean;
  /** Only these operations count. */
  readonly only?: readonly (keyof Disk)[];
}

export interface FaultyDisk {
  readonly disk: Disk;
  /** Operations that were asked for, and the name of the one that failed first. */
  readonly log: { count: number; failed: keyof Disk | undefined };
}

/** One operation of a disk, by its name. */
export function operationOf(disk: Disk, name: PropertyKey): (...args: unknown[]) => unknown {
  return Reflect.get(disk, name) as (...args: unknown[]) => unknown;
}

/** Closing is left out: it must go right for the test to see what else was left open. */
const FAULTLESS = new Set<PropertyKey>(['close']);

export function faultyDisk(inner: Disk, fault: Fault): FaultyDisk {
  const log: FaultyDisk['log'] = { count: 0, failed: undefined };
  const disk = new Proxy(inner, {
    get(target, name) {
      const operation = operationOf(target, name);
      return (...args: unknown[]) => {
        if (!FAULTLESS.has(name) && (fault.only?.includes(name as keyof Disk) ?? true)) {
          log.count += 1;
          if (log.count === fault.at || (fault.forever && log.count > fault.at)) {
            log.failed ??= name as keyof Disk;
            throw Object.assign(new Error(`${fault.code}: injected`), { code: fault.code });
          }
        }
        return operation.apply(target, args);
      };
    },
  });
  return { disk, log };
}

/** Writes and reads take as little at a time as they may. */
export function shortDisk(inner: Disk): Disk {
  return new Proxy(inner, {
    get(target, name) {
      if (name === 'write') {
        return (fd: number, bytes: Uint8Array, from: number) => target.write(fd, bytes.subarray(0, from + 1), from);
      }
      if (name === 'read') {
        return (fd: number, into: Uint8Array, offset: number, length: number) =>
          target.read(fd, into, offset, Math.min(length, 1));
      }
      const operation = operationOf(target, name);
      return (...args: unknown[]) => operation.apply(target, args);
    },
  });
}
