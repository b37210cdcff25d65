// A power cut, or a killed receiver, at the nth operation of a disk.

import type { Disk } from '../../../vm-receiver/store/files/disk/disk.ts';
import { operationOf } from './faulty-disk.ts';
import type { MemoryDisk, Survival } from './memory-disk.ts';

class PowerCut extends Error {}

export const SURVIVALS: readonly Survival[] = ['none', 'all', 'some', 'some', 'some'];

/** Ends everything at its nth operation, as a power cut does: nothing that comes after is done, by anybody. */
function endingDisk(inner: MemoryDisk, at: number): { disk: Disk; reached: () => boolean } {
  let count = 0;
  const step = () => {
    count += 1;
    if (count >= at) throw new PowerCut();
  };
  inner.within = step;
  const disk = new Proxy<Disk>(inner, {
    get(target, name) {
      const operation = operationOf(target, name);
      return (...args: unknown[]) => {
        step();
        return operation.apply(target, args);
      };
    },
  });
  return { disk, reached: () => count >= at };
}

/** Lives on the disk until its nth operation; false when it came to its end before. */
export async function liveUntilCut(
  real: MemoryDisk,
  at: number,
  live: (disk: Disk) => Promise<void>,
): Promise<boolean> {
  const { disk, reached } = endingDisk(real, at);
  await live(disk).catch((error: unknown) => {
    if (!reached()) throw error;
  });
  real.within = () => undefined;
  return reached();
}
