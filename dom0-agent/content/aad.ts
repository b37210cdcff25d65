/**
 * Object types, and the additional data that binds an object to its place (docs/format.md, section 4): an object that
 * was sealed for one type, archive, volume, session or range does not open as another.
 */
import type { ArchiveId, SessionName, VolumeId } from '../../shared/archive/names.ts';

export const FORMAT_VERSION = 1;

export const OBJECT_TYPE = { chunk: 1, page: 2, index: 3, head: 4, catalogue: 5, slot: 6 } as const;
export type ObjectType = (typeof OBJECT_TYPE)[keyof typeof OBJECT_TYPE];

const PREFIX = Buffer.concat([Buffer.from('sparsebak', 'ascii'), Buffer.of(FORMAT_VERSION)]);

function additionalData(type: ObjectType, archive: ArchiveId, ...rest: Uint8Array[]): Buffer {
  return Buffer.concat([PREFIX, Buffer.of(type), Buffer.from(archive, 'hex'), ...rest]);
}

/** The prefix of the additional data of every chunk of an archive; the chunk's identity (32 bytes) follows. */
export function chunkAadPrefix(archive: ArchiveId): Buffer {
  return additionalData(OBJECT_TYPE.chunk, archive);
}

export function pageAad(archive: ArchiveId, volume: VolumeId, range: number): Buffer {
  return additionalData(OBJECT_TYPE.page, archive, Buffer.from(volume, 'hex'), u64(range));
}

export function indexAad(archive: ArchiveId, volume: VolumeId): Buffer {
  return additionalData(OBJECT_TYPE.index, archive, Buffer.from(volume, 'hex'));
}

export function headAad(archive: ArchiveId, volume: VolumeId, session: SessionName): Buffer {
  return additionalData(OBJECT_TYPE.head, archive, Buffer.from(volume, 'hex'), Buffer.from(session, 'ascii'));
}

export function catalogueAad(archive: ArchiveId): Buffer {
  return additionalData(OBJECT_TYPE.catalogue, archive);
}

/** @param kind 1 passphrase, 2 recovery key. The scrypt parameters are 0 for a recovery key; `salt` has 32 bytes */
export function slotAad(archive: ArchiveId, kind: number, n: number, r: number, p: number, salt: Uint8Array): Buffer {
  return additionalData(OBJECT_TYPE.slot, archive, slotParameters(kind, n, r, p), salt);
}

/** A slot's kind (u8) and scrypt parameters (u64, u32, u32) in 17 bytes. */
export function slotParameters(kind: number, n: number, r: number, p: number): Buffer {
  return Buffer.concat([Buffer.of(kind), u64(n), u32(r), u32(p)]);
}

/** Big endian, up to 2^53-1. */
export function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
