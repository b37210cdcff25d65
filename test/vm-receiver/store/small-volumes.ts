// What tests of the store send: small volumes of 64 KiB chunks whose stored bytes are a few each.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { ArchiveId, ArchiveName, PairingId, SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { encodeMap } from '../../../shared/wire/msgpack.ts';
import { CHUNKS_PER_RANGE } from '../../../shared/archive/address.ts';
import { Refusal } from '../../../vm-receiver/store/refusal.ts';
import type {
  ArchiveStore,
  NewArchive,
  Patience,
  Pieces,
  Send,
  SessionSummary,
} from '../../../vm-receiver/store/store.ts';

export const CHUNK = 64 * 1024;
export const RANGE = CHUNK * CHUNKS_PER_RANGE;

export const LAPTOP = 'laptop' as ArchiveName;
const ARCHIVE = 'ab'.repeat(16) as ArchiveId;
export const VOLUME = 'cd'.repeat(16) as VolumeId;
export const OTHER_VOLUME = 'ce'.repeat(16) as VolumeId;

export const impatient: Patience = { seconds: 0, signal: new AbortController().signal };

export function newArchive(change: Partial<NewArchive> = {}): NewArchive {
  return {
    name: LAPTOP,
    id: ARCHIVE,
    chunkSize: CHUNK,
    encrypted: true,
    dedup: false,
    slots: [{ name: 'passphrase', data: slotOf('a slot', change.id) }],
    catalogue: catalogueOf('catalogue 1', change),
    ...change,
  };
}

/** What has the form of a key slot, and says something. */
export function slotOf(said: string, archive = ARCHIVE): Uint8Array {
  const sealed = Buffer.concat([Buffer.of(1, 6), bytes(`<${said}>`.padEnd(42))]);
  const salt = Buffer.alloc(32, 7);
  const [n, r, p] = [2 ** 17, 8, 1];
  const numbers = Buffer.alloc(17);
  numbers.writeUInt8(1);
  numbers.writeBigUInt64BE(BigInt(n), 1);
  numbers.writeUInt32BE(r, 9);
  numbers.writeUInt32BE(p, 13);
  const joined = Buffer.concat([Buffer.from(archive, 'hex'), numbers, salt, sealed]);
  const check = createHash('sha512-256').update(joined).digest().subarray(0, 8);
  return encodeMap({ v: 1, archive, kind: 'passphrase', n, r, p, salt, sealed, check });
}

/** What has the form of a catalogue, and says something. */
export function catalogueOf(said: string, { encrypted = true, id = ARCHIVE }: Partial<NewArchive> = {}): Uint8Array {
  if (encrypted) return Buffer.concat([Buffer.of(1, 5), bytes(`<${said}>`.padEnd(42))]);
  const volume = { id: VOLUME, name: `<${said}>`, state: 'active', session: null, head: null, tags: {} };
  const payload = encodeMap({ v: 1, archive: id, writer: ARCHIVE, sequence: 1, volumes: [volume] });
  return Buffer.concat([Buffer.of(1, 5, 0), payload, Buffer.alloc(32)]);
}

/** What a slot or catalogue of a test says. */
export function saidBy(data: Uint8Array | Pieces | undefined): string | undefined {
  if (data === undefined) return undefined;
  const whole = data instanceof Uint8Array ? Buffer.from(data) : wholeOf(data);
  return /<([^>]*)>/.exec(whole.toString('latin1'))?.[1];
}

export function wholeOf(pieces: Pieces): Buffer {
  const copies: Uint8Array[] = [];
  for (const piece of pieces) copies.push(Uint8Array.from(piece));
  return Buffer.concat(copies);
}

/** The nth session of a test. */
export function sessionName(number: number): SessionName {
  return `S_20261123-${String(Math.floor(number / 60)).padStart(4, '0')}${String(number % 60).padStart(2, '0')}` as SessionName;
}

export function pairingId(number: number): PairingId {
  return number.toString(16).padStart(32, '0') as PairingId;
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(data: Uint8Array | undefined): string | undefined {
  return data === undefined ? undefined : new TextDecoder().decode(data);
}

export function textOf(pieces: Pieces | undefined): string | undefined {
  return pieces === undefined ? undefined : [...pieces].map((piece) => new TextDecoder().decode(piece)).join('');
}

/** The sessions of the only volume, without the time of their commit, which must be since then. */
export function countsOf(archive: ArchiveStore, since: number): Omit<SessionSummary, 'committed'>[] {
  return ([...archive.volumes()][0]?.sessions ?? []).map(({ committed, ...counts }) => {
    assert.ok(committed !== undefined && committed >= since && committed <= Date.now(), String(committed));
    return counts;
  });
}

interface Zeros {
  readonly zeros: number;
  readonly count: number;
}

/** One step of a send; chunks by number. */
export type Step =
  | { readonly chunk: number; readonly data: string }
  | Zeros
  | { readonly page: number; readonly data: string }
  | { readonly checkpoint: number };

export interface SessionPlan {
  readonly volume?: VolumeId;
  readonly base: number | null;
  readonly session: number;
  /** In chunks. */
  readonly size: number;
  readonly steps: readonly Step[];
  readonly resume?: boolean;
  readonly pairing?: number;
}

/** The nth session of a volume, over the one before. */
export function planOf(session: number, size: number, ...steps: readonly (readonly Step[])[]): SessionPlan {
  return { base: session === 1 ? null : session - 1, session, size, steps: steps.flat() };
}

/**
 * What a session writes in one range, then the range's page. Each says who wrote it and where: chunk 5 by `a` is `a5`,
 * its page `page a0`.
 * @param content chunks by their number, and zeros; rising
 */
export function range(by: string, ...content: readonly [number | Zeros, ...(number | Zeros)[]]): Step[] {
  const steps = content.map((each): Step => (typeof each === 'number' ? { chunk: each, data: `${by}${each}` } : each));
  const [first] = content;
  const number = Math.floor((typeof first === 'number' ? first : first.zeros) / CHUNKS_PER_RANGE);
  return [...steps, { page: number, data: `page ${by}${number}` }];
}

export function zeros(from: number, count = 1): Zeros {
  return { zeros: from, count };
}

export async function beginSession(archive: ArchiveStore, plan: SessionPlan): Promise<Send> {
  return await archive.begin({
    volume: plan.volume ?? VOLUME,
    pairing: pairingId(plan.pairing ?? plan.session),
    base: plan.base === null ? null : sessionName(plan.base),
    session: sessionName(plan.session),
    size: plan.size * CHUNK,
    resume: plan.resume ?? false,
    name: null,
  });
}

export async function takeSteps(send: Send, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if ('chunk' in step) send.chunk(step.chunk * CHUNK, bytes(step.data));
    else if ('zeros' in step) await send.zeros(step.zeros * CHUNK, step.count);
    else if ('page' in step) send.page(step.page, bytes(step.data));
    else await send.checkpoint(step.checkpoint * RANGE);
  }
}

export async function commitSession(archive: ArchiveStore, plan: SessionPlan): Promise<void> {
  const send = await beginSession(archive, plan);
  await takeSteps(send, plan.steps);
  await send.commit(bytes(`head ${String(plan.session)}`), [bytes('index '), bytes(String(plan.session))]);
}

/** What one address holds: `undefined` no file, an empty string zeros. */
export async function stored(
  archive: ArchiveStore,
  session: number,
  chunk: number,
  volume = VOLUME,
): Promise<string | undefined> {
  const target = new Uint8Array(1024);
  const length = await archive.chunk(volume, sessionName(session), chunk * CHUNK, target, 3);
  return length === undefined ? undefined : text(target.subarray(3, 3 + length));
}

/** The sessions that everybody sees. */
export function visible(archive: ArchiveStore, volume = VOLUME): string[] {
  return [...archive.heads(volume, [])].map(({ session }) => session);
}

/** The answer of a refusal; for `assert.rejects` and `assert.throws`. */
export function refusedAs(answer: string): (error: unknown) => boolean {
  return (error) => error instanceof Refusal && error.answer === answer;
}
