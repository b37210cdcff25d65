/**
 * A plain archive's volume without the archive's key: heads are read but not verified, chunks are decompressed within
 * their length and not compared with anything. It shares no code path with a real restore, so no option there can turn
 * verification off.
 */
import { openSync, closeSync, writeSync } from 'node:fs';
import { CHUNKS_PER_RANGE, Geometry } from '../../shared/archive/address.ts';
import { isSessionName, type ArchiveName, type SessionName, type VolumeId } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { escapeText } from '../../shared/text.ts';
import { MAX_ADDRESSES } from '../../shared/wire/limits.ts';
import type { Codec } from '../content/compression.ts';
import { MAX_HEAD_LENGTH, type Head } from '../content/head.ts';
import {
  codecOfChunks,
  readChunkUnauthenticated,
  readHeadUnauthenticated,
} from '../content/unauthenticated-objects.ts';
import type { ReceiverClient } from '../link/client.ts';
import { fetchObject } from '../proven-archive/fetch-object.ts';
import { listVolumes } from '../proven-archive/stored-listing.ts';
import { failed } from '../source/target-error.ts';
import type { Target } from '../source/target.ts';
import type { OwnPlace } from '../config/own-places.ts';
import { openTarget } from './open-target.ts';

export interface UnauthenticatedRequest {
  readonly archive: ArchiveName;
  /** A name, or a volume's id if two have the same name. */
  readonly volume: string;
  readonly session: string | undefined;
  readonly to: string;
  readonly force: boolean;
  readonly own: readonly OwnPlace[];
  /** Seconds. */
  readonly lockWait: number;
}

export interface UnauthenticatedTools {
  readonly signal: AbortSignal;
  readonly progress: { start(name: string, bytes: number): void; add(bytes: number): void; skip(bytes: number): void };
}

export interface UnauthenticatedResult {
  readonly head: Head;
  readonly chunks: number;
  readonly bytes: number;
}

/** Bytes of the volume that are requested at a time. */
const BATCH_BYTES = 8 * 2 ** 20;

interface Found {
  readonly volume: VolumeId;
  readonly head: Head;
}

/**
 * @throws `usage` for an encrypted archive; `not-found` for an unknown volume; `integrity` for unreadable objects;
 * `target`
 */
export async function restoreUnauthenticated(
  client: ReceiverClient,
  request: UnauthenticatedRequest,
  { signal, progress }: UnauthenticatedTools,
): Promise<UnauthenticatedResult> {
  const chunkSize = await openPlain(client, request);
  const found = await findVolume(client, request);
  const geometry = new Geometry(chunkSize, found.head.size);
  const zero = await zeroRanges(client, found, geometry);
  const { to: path, force, own } = request;
  const target = await openTarget({ path, size: geometry.size, force, own });
  if (target.zeros !== undefined) {
    await target.abandon();
    throw new SparsebakError('usage', '--unauthenticated can only restore to a file');
  }
  progress.start(request.volume, geometry.size);
  const counts = { chunks: 0, bytes: 0 };
  try {
    const fd = openSync(target.path, 'r+');
    try {
      const writer = new Writer(client, found, geometry, fd, target, counts);
      for (let range = 0; range < geometry.rangeCount; range++) {
        signal.throwIfAborted();
        const { rangeBytes, size } = geometry;
        const length = Math.min(rangeBytes, size - range * rangeBytes);
        const before = counts.bytes;
        if (!zero(range)) await writer.range(range);
        progress.add(counts.bytes - before);
        progress.skip(length - (counts.bytes - before));
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    await target.abandon();
    throw failed(request.to, error);
  }
  await target.finish();
  return { head: found.head, ...counts };
}

async function openPlain(client: ReceiverClient, { archive, lockWait }: UnauthenticatedRequest): Promise<number> {
  const opened = await client.request({ t: 'open', archive, lockWait });
  if (opened.t !== 'opened') throw new SparsebakError('protocol', 'the receiver did not open the archive');
  if (opened.encrypted) {
    throw new SparsebakError('usage', 'the archive is encrypted: without its key nothing can be read', {
      hint: 'Use the passphrase or the recovery key: "sparsebak key unlock".',
    });
  }
  client.setChunkSize(opened.chunkSize);
  return opened.chunkSize;
}

async function findVolume(client: ReceiverClient, { volume, session }: UnauthenticatedRequest): Promise<Found> {
  if (session !== undefined && !isSessionName(session))
    throw new SparsebakError('usage', `"${session}" is not the name of a session`, {
      hint: 'Sessions are named like S_20261123-020000.',
    });
  const found: Found[] = [];
  const names = new Set<string>();
  for (const [id, sessions] of await listVolumes(client)) {
    const newest = await headOf(client, id, sessions.at(-1)?.session);
    if (newest !== undefined) names.add(newest.name);
    if (newest?.name !== volume && id !== volume) continue;
    const head = session === undefined ? newest : await headOf(client, id, session);
    if (head !== undefined) found.push({ volume: id, head });
  }
  const [first, second] = found;
  if (first === undefined) {
    const there = [...names].sort().slice(0, 20).join(', ');
    throw new SparsebakError('not-found', `the archive shows no volume "${volume}", or no such session of it`, {
      hint: escapeText(`It shows: ${there === '' ? 'nothing' : there}`, 1000),
    });
  }
  if (second !== undefined) {
    throw new SparsebakError('usage', `${found.length} volumes of the archive have the name ${volume}`, {
      hint: `Name one by its id: ${found.map((each) => each.volume).join(', ')}.`,
    });
  }
  return first;
}

/** Undefined if it does not exist, or is not a head. */
async function headOf(
  client: ReceiverClient,
  volume: VolumeId,
  session: SessionName | undefined,
): Promise<Head | undefined> {
  if (session === undefined) return undefined;
  let head: Head | undefined;
  await client.request({ t: 'get-heads', volume, sessions: [session] }, (item) => {
    if (item.t !== 'head' || item.data.length > MAX_HEAD_LENGTH) return;
    try {
      head = readHeadUnauthenticated(Uint8Array.from(item.data), `head of session ${session}`);
    } catch {
      // Other volumes may still be intact.
    }
  });
  return head;
}

/** The ranges that are all zeros by the index: a sparse volume is not requested chunk by chunk. */
async function zeroRanges(
  client: ReceiverClient,
  { volume, head }: Found,
  { rangeCount }: Geometry,
): Promise<(range: number) => boolean> {
  const request = { t: 'get-index', volume, session: head.session } as const;
  const stored = (await fetchObject(client, request, rangeCount * 32)) ?? new Uint8Array(0);
  if (stored.length % 32 !== 0)
    throw new SparsebakError('integrity', `the index of session ${head.session} has ${stored.length} bytes`);
  const index = new Uint8Array(rangeCount * 32);
  index.set(stored);
  return (range) => index.subarray(range * 32, (range + 1) * 32).every((byte) => byte === 0);
}

class Writer {
  readonly #client: ReceiverClient;
  readonly #found: Found;
  readonly #geometry: Geometry;
  readonly #fd: number;
  readonly #target: Target;
  readonly #counts: { chunks: number; bytes: number };
  #codec: Codec | undefined;

  constructor(
    client: ReceiverClient,
    found: Found,
    geometry: Geometry,
    fd: number,
    target: Target,
    counts: { chunks: number; bytes: number },
  ) {
    this.#client = client;
    this.#found = found;
    this.#geometry = geometry;
    this.#fd = fd;
    this.#target = target;
    this.#counts = counts;
  }

  async range(range: number): Promise<void> {
    const first = range * CHUNKS_PER_RANGE;
    const end = first + this.#geometry.entriesOf(range);
    const step = Math.min(MAX_ADDRESSES, Math.ceil(BATCH_BYTES / this.#geometry.chunkSize));
    for (let chunk = first; chunk < end; chunk += step) await this.#some(chunk, Math.min(end, chunk + step));
  }

  async #some(first: number, end: number): Promise<void> {
    const { volume, head } = this.#found;
    const addresses = Array.from({ length: end - first }, (_, each) => this.#geometry.address(first + each));
    const data: { readonly chunk: number; readonly stored: Uint8Array }[] = [];
    let answered = 0;
    await this.#client.request({ t: 'get-chunks', volume, session: head.session, addresses }, (item) => {
      if (item.t !== 'stored') return;
      const chunk = first + answered++;
      if (item.address !== this.#geometry.address(chunk) || chunk >= end)
        throw new SparsebakError('protocol', 'the receiver sent a chunk that was not asked for');
      if (item.data !== null && item.data.length > 0) data.push({ chunk, stored: Uint8Array.from(item.data) });
    });
    this.#codec ??= data.length === 0 ? undefined : codecOfChunks(data.map(({ stored }) => stored));
    for (const { chunk, stored } of data) this.#write(chunk, stored, this.#codec ?? 'none');
  }

  #write(chunk: number, stored: Uint8Array, codec: Codec): void {
    const address = this.#geometry.address(chunk);
    const what = `chunk at ${address}`;
    const plaintext = readChunkUnauthenticated(codec, stored, this.#geometry.chunkLength(chunk), what);
    for (let done = 0; done < plaintext.length;)
      done += writeSync(this.#fd, plaintext, done, plaintext.length - done, address + done);
    this.#target.wrote(plaintext.length);
    this.#counts.chunks++;
    this.#counts.bytes += plaintext.length;
  }
}
