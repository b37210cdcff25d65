/**
 * A send's checkpoint: everything below its address is durable. It also identifies its send, so that no other is
 * resumed from it. It is made durable after the data and removed durably before the data.
 */
import { join } from 'node:path';
import { isSessionName, type SessionName } from '../../../../shared/archive/names.ts';
import * as z from '../../../../shared/zod.ts';
import type { SendRequest } from '../../store.ts';
import type { Disk } from '../disk/disk.ts';
import { readOwn } from '../disk/own-file.ts';
import { CHECKPOINT } from '../layout/paths.ts';

const session = z.custom<SessionName>((value) => typeof value === 'string' && isSessionName(value));
const schema = z.strictObject({
  address: z.int().check(z.minimum(0)),
  base: z.nullable(session),
  session,
  size: z.int().check(z.minimum(0)),
});

export type Checkpoint = z.infer<typeof schema>;

/** Undefined if there is none, or it is unreadable: then the send cannot be resumed. */
export function readCheckpoint(disk: Disk, folder: string): Checkpoint | undefined {
  const bytes = readOwn(disk, join(folder, CHECKPOINT), 4096);
  if (bytes === undefined) return undefined;
  try {
    return schema.safeParse(JSON.parse(Buffer.from(bytes).toString())).data;
  } catch {
    return undefined;
  }
}

export function writeCheckpoint(disk: Disk, folder: string, request: SendRequest, address: number): void {
  const { base, session, size } = request;
  const checkpoint: Checkpoint = { address, base, session, size };
  disk.replace(join(folder, CHECKPOINT), `${JSON.stringify(checkpoint)}\n`);
}

export function isOf(checkpoint: Checkpoint, { base, session, size }: SendRequest): boolean {
  return checkpoint.base === base && checkpoint.session === session && checkpoint.size === size;
}
