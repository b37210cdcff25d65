// One object of every kind, small, and how each is opened where it belongs: for tests that put something else in its
// place.
import assert from 'node:assert/strict';
import type { ArchiveId, PairingId, SessionName, VolumeId } from '../../../shared/archive/names.ts';
import { SparsebakError, type ErrorCode } from '../../../shared/errors.ts';
import { ArchiveContent } from '../../../dom0-agent/content/archive-content.ts';
import type { Catalogue } from '../../../dom0-agent/content/catalogue.ts';
import { ChunkOpener, ChunkSealer, maxStoredLength, type ChunkContent } from '../../../dom0-agent/content/chunk.ts';
import type { Codec } from '../../../dom0-agent/content/compression.ts';
import type { Head } from '../../../dom0-agent/content/head.ts';
import type { WrappedRecord } from '../../../dom0-agent/content/keys.ts';
import type { MacName } from '../../../dom0-agent/content/mac-names.ts';
import { openSlot, sealSlot } from '../../../dom0-agent/content/slot.ts';

export const CHUNK_SIZE = 64 * 1024;
export const VOLUME = '000102030405060708090a0b0c0d0e0f' as VolumeId;
export const OTHER_VOLUME = '101112131415161718191a1b1c1d1e1f' as VolumeId;
export const SESSION = 'S_20261123-020000' as SessionName;
export const OTHER_SESSION = 'S_20261123-030000' as SessionName;
export const ARCHIVE = '202122232425262728292a2b2c2d2e2f' as ArchiveId;
export const OTHER_ARCHIVE = '303132333435363738393a3b3c3d3e3f' as ArchiveId;
const KEY = Uint8Array.from({ length: 32 }, (_, index) => index);
const WRITER = '404142434445464748494a4b4c4d4e4f';
const PAIRING = '505152535455565758595a5b5c5d5e5f' as PairingId;

interface RecordChoices extends Partial<Omit<WrappedRecord, 'name' | 'identity'>> {
  readonly mac?: MacName;
}

export function recordOf({
  archive = ARCHIVE,
  encrypted = true,
  codec = 'zstd',
  dedup = false,
  key = KEY,
  mac = 'blake2b',
}: RecordChoices = {}): WrappedRecord {
  const identity = mac === 'blake2b' ? {} : { identity: mac };
  return { archive, encrypted, codec, chunkSize: CHUNK_SIZE, dedup, ...identity, key };
}

export function headOf(archive: ArchiveId, changes: Partial<Head> = {}): Head {
  return {
    archive,
    volume: VOLUME,
    session: SESSION,
    writer: WRITER,
    pairing: PAIRING,
    sequence: 7,
    name: 'vm-work-private',
    size: 3 * CHUNK_SIZE,
    chunkSize: CHUNK_SIZE,
    index: new Uint8Array(32).fill(9),
    time: 1_795_399_200_000,
    state: 'running',
    base: null,
    compared: false,
    changedBytes: 3 * CHUNK_SIZE,
    ...changes,
  };
}

export function catalogueOf(archive: ArchiveId, changes: Partial<Catalogue> = {}): Catalogue {
  const volumes: Catalogue['volumes'] = [
    {
      id: VOLUME,
      name: 'vm-work-private',
      state: 'active',
      session: SESSION,
      head: new Uint8Array(32).fill(8),
      tags: { [SESSION]: ['before the upgrade'] },
    },
    { id: OTHER_VOLUME, name: 'vm-old-private', state: 'deleted', session: null, head: null, tags: {} },
  ];
  return { archive, writer: WRITER, sequence: 7, volumes, ...changes };
}

/** Three entries: data, zeros, data. */
export const ENTRIES = Uint8Array.from({ length: 96 }, (_, index) => (index >= 32 && index < 64 ? 0 : index + 1));
/** Three pages, the last ones all zero. */
export const HASHES = Uint8Array.from({ length: 96 }, (_, index) => (index < 32 ? index + 1 : 0));
export const PLAINTEXT = Buffer.from('The quick brown fox jumps over the lazy dog. '.repeat(5));

export function chunkContent(record: WrappedRecord, level = record.codec === 'none' ? 0 : 1): ChunkContent {
  // As a worker gets it.
  return structuredClone(new ArchiveContent(record).chunkContent(level));
}

export interface SealedChunk {
  readonly stored: Uint8Array;
  readonly identity: Uint8Array;
}

export function sealChunk(content: ChunkContent, plaintext: Uint8Array): SealedChunk {
  const sealer = new ChunkSealer(content);
  const target = new Uint8Array(new SharedArrayBuffer(maxStoredLength(content.chunkSize) + 3));
  const identity = sealer.identity(plaintext);
  const length = sealer.seal(plaintext, identity, target, 3);
  return { stored: target.slice(3, 3 + length), identity };
}

export interface Specimen {
  readonly kind: string;
  readonly stored: Uint8Array;
  /** Opens bytes where this object belongs; what it gives is compared with nothing. */
  readonly open: (stored: Uint8Array) => unknown;
}

/** Chunk, page, index, head, catalogue, slot of one archive. */
export async function specimens(record: WrappedRecord): Promise<Specimen[]> {
  const content = new ArchiveContent(record);
  const chunks = chunkContent(record);
  const opener = new ChunkOpener(chunks);
  const chunk = sealChunk(chunks, PLAINTEXT);
  const page = content.sealPage(VOLUME, 2, ENTRIES);
  const index = content.sealIndex(VOLUME, HASHES);
  const secret = { kind: 'recovery', key: KEY } as const;
  assert.ok(page.stored);
  return [
    { kind: 'chunk', stored: chunk.stored, open: (stored) => opener.open(stored, chunk.identity, PLAINTEXT.length) },
    { kind: 'page', stored: page.stored, open: (stored) => content.openPage(VOLUME, 2, 3, page.hash, stored) },
    { kind: 'index', stored: index.stored, open: (stored) => content.openIndex(VOLUME, 3, index.hash, stored) },
    {
      kind: 'head',
      stored: content.sealHead(headOf(record.archive)).stored,
      open: (stored) => content.openHead(VOLUME, SESSION, stored),
    },
    {
      kind: 'catalogue',
      stored: content.sealCatalogue(catalogueOf(record.archive)).stored,
      open: (stored) => content.openCatalogue(stored),
    },
    {
      kind: 'slot',
      stored: await sealSlot(record, secret),
      open: (stored) => openSlot(stored, secret, record.archive),
    },
  ];
}

interface Mode {
  readonly name: string;
  readonly encrypted: boolean;
  readonly codec: Codec;
  readonly dedup: boolean;
  readonly mac: MacName;
}

const BLAKE2B_MODES: readonly Mode[] = [true, false].flatMap((encrypted) =>
  (['none', 'zstd', 'gzip'] as const).flatMap((codec) =>
    (encrypted ? [false, true] : [false]).map((dedup) => ({
      name: `${encrypted ? 'encrypted' : 'plain'}, ${codec}${dedup ? ', dedup' : ''}`,
      encrypted,
      codec,
      dedup,
      mac: 'blake2b' as const,
    })),
  ),
);

/** Every way in which an archive can protect its content; with the other MAC only those that use it differently. */
export const MODES: readonly Mode[] = [
  ...BLAKE2B_MODES,
  { name: 'encrypted, zstd, dedup, SHA-256', encrypted: true, codec: 'zstd', dedup: true, mac: 'sha256' },
  { name: 'plain, gzip, SHA-256', encrypted: false, codec: 'gzip', dedup: false, mac: 'sha256' },
  { name: 'plain, none, SHA-256', encrypted: false, codec: 'none', dedup: false, mac: 'sha256' },
];

/** For assert.throws and assert.rejects: our error class with this code, nothing else. */
export function fault(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof SparsebakError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}
