/**
 * Requests that maintain an archive: removing sessions and volumes, names, protection, space, damage and its repair.
 * The receiver's answers here are not content, so they cannot be proven.
 */
import type { SessionName, VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { MAX_DAMAGE, MAX_PRUNED } from '../../shared/wire/limits.ts';
import type { ReceiverClient, Request } from './client.ts';

/** @returns bytes freed, as the receiver reports; undefined if there is no such session. @throws `refused` */
export async function prune(
  client: ReceiverClient,
  volume: VolumeId,
  session: SessionName,
): Promise<number | undefined> {
  return await freed(client, { t: 'prune', volume, session });
}

/**
 * What pruning all of these sessions (at most MAX_PRUNED) would free. @throws `refused` if pruning one of them would be
 * @returns undefined when there is no such volume
 */
export async function freedByPruning(
  client: ReceiverClient,
  volume: VolumeId,
  sessions: readonly SessionName[],
): Promise<number | undefined> {
  if (sessions.length === 0) return 0;
  if (sessions.length > MAX_PRUNED) throw new SparsebakError('usage', `more than ${MAX_PRUNED} sessions at one time`);
  return await freed(client, { t: 'get-freed', volume, sessions: [...sessions] });
}

/** Removes a volume with all its sessions. @returns bytes freed. @throws `refused` */
export async function deleteVolume(client: ReceiverClient, volume: VolumeId): Promise<number> {
  return (await freed(client, { t: 'delete', volume })) ?? 0;
}

/** @returns whether there is such a session */
export async function protect(
  client: ReceiverClient,
  volume: VolumeId,
  session: SessionName,
  on: boolean,
): Promise<boolean> {
  return await isThere(client, { t: 'protect', volume, session, on });
}

/**
 * Sets the name by which a user finds a plain archive's volume without sparsebak. @returns whether there is such a
 * volume
 */
export async function renameVolume(client: ReceiverClient, volume: VolumeId, name: string): Promise<boolean> {
  return await isThere(client, { t: 'rename', volume, name });
}

export interface ReceiverSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Undefined if the file system has no fixed number of them. */
  readonly freeInodes: number | undefined;
}

export async function space(client: ReceiverClient): Promise<ReceiverSpace> {
  const answer = await client.request({ t: 'get-space' });
  if (answer.t !== 'space') throw unexpected(answer.t);
  const { totalBytes, freeBytes, freeInodes } = answer;
  return { totalBytes, freeBytes, freeInodes: freeInodes ?? undefined };
}

/** The damaged or missing parts of a volume's newest session that the receiver knows of; both lists rise. */
export interface DamagedParts {
  /** Addresses of chunks. */
  readonly addresses: readonly number[];
  /** Numbers of ranges. */
  readonly pages: readonly number[];
}

export async function damagedParts(client: ReceiverClient, volume: VolumeId): Promise<DamagedParts> {
  const addresses: number[] = [];
  const pages: number[] = [];
  await client.request({ t: 'get-damage', volume }, (item) => {
    if (item.t !== 'damage') throw unexpected(item.t);
    append(addresses, item.addresses);
    append(pages, item.pages);
  });
  return { addresses, pages };
}

function append(target: number[], more: readonly number[]): void {
  for (const each of more) {
    if (each <= (target.at(-1) ?? -1))
      throw new SparsebakError('protocol', 'the receiver’s list of damage does not rise');
    target.push(each);
  }
  if (target.length > MAX_DAMAGE) throw new SparsebakError('protocol', 'the receiver’s list of damage has no end');
}

/**
 * Sends an intact chunk for a session in which it is damaged or missing; no bytes stand for zeros. @returns whether the
 * receiver stored it
 */
export async function repairChunk(
  client: ReceiverClient,
  volume: VolumeId,
  session: SessionName,
  address: number,
  data: Uint8Array,
): Promise<boolean> {
  return await isThere(client, { t: 'mend-chunk', volume, session, address, data });
}

/** The same for a page. */
export async function repairPage(
  client: ReceiverClient,
  volume: VolumeId,
  session: SessionName,
  range: number,
  data: Uint8Array,
): Promise<boolean> {
  return await isThere(client, { t: 'mend-page', volume, session, range, data });
}

async function freed(
  client: ReceiverClient,
  request: Extract<Request, { t: 'prune' | 'get-freed' | 'delete' }>,
): Promise<number | undefined> {
  const answer = await client.request(request);
  if (answer.t === 'freed') return answer.bytes;
  if (answer.t === 'absent') return undefined;
  throw unexpected(answer.t);
}

async function isThere(
  client: ReceiverClient,
  request: Extract<Request, { t: 'protect' | 'rename' | 'mend-chunk' | 'mend-page' }>,
): Promise<boolean> {
  const answer = await client.request(request);
  return answer.t === 'done';
}

function unexpected(kind: string): SparsebakError {
  return new SparsebakError('protocol', `the receiver answered with ${kind}`);
}
