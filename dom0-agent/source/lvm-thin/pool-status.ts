/**
 * The kernel's own status of a pool: `dmsetup status` of its device,
 *
 *     0 2097152 thin-pool 16 423/4096 22/16384 45 rw discard_passdown queue_if_no_space - 1024
 *
 * that is start, length, target, transaction, metadata blocks, data blocks, the block where the reserved copy of the
 * metadata begins (`-` without one), and the state of the pool.
 */
import { SparsebakError } from '../../../shared/errors.ts';
import { runProgram } from '../../process/run-program.ts';

export interface PoolStatus {
  /** Where the reserved copy of the metadata begins; null: none is reserved. */
  readonly held: number | null;
}

const STATUS = /^\d+ \d+ thin-pool \d+ \d+\/\d+ \d+\/\d+ (-|\d+) (rw|ro|out_of_data_space) [a-z_ -]+(?: \d+)?\s*$/;

/** @param device as device-mapper calls it */
export async function poolStatus(device: string): Promise<PoolStatus> {
  return parseStatus(await runProgram('dmsetup', ['status', device]), device);
}

export function parseStatus(text: string, device: string): PoolStatus {
  const [, held] = STATUS.exec(text) ?? [];
  if (held === undefined) {
    throw new SparsebakError('source', `the pool ${device} is not healthy:  ${text.trim().slice(0, 200)}`, {
      hint: `See what "dmsetup status ${device}" and the kernel's log say.`,
    });
  }
  return { held: held === '-' ? null : Number(held) };
}

export async function sendToPool(device: string, message: string): Promise<void> {
  await runProgram('dmsetup', ['message', device, '0', message]);
}
