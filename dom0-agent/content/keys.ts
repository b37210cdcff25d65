/**
 * The wrapped record, which contains everything that never changes in an archive, and the working keys (docs/format.md,
 * sections 3 and 9).
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import * as z from 'zod';
import { isArchiveName, type ArchiveId, type ArchiveName } from '../../shared/archive/names.ts';
import { CODECS, type Codec } from './compression.ts';
import { archiveId, bytes, chunkSize, decodeFields, encodeFields } from './fields.ts';
import { plain } from './bytes.ts';
import { KEY_LENGTH } from './xaes.ts';

const archiveName = z.custom<ArchiveName>(
  (value) => typeof value === 'string' && isArchiveName(value),
  'not an archive name',
);

const schema = z.strictObject({
  archive: archiveId,
  /** The archive's name, so that no other archive can be shown in its place. Records of earlier releases have none. */
  name: archiveName.exactOptional(),
  /** False: a plain archive, whose key only signs. */
  encrypted: z.boolean(),
  /** Fixed in a plain archive; in an encrypted one it is the codec of new chunks. */
  codec: z.enum(CODECS),
  /** Bytes. */
  chunkSize,
  /** Equal chunks get equal stored bytes. */
  dedup: z.boolean(),
  /** The archive key, 32 bytes. */
  key: bytes(KEY_LENGTH),
});

export type WrappedRecord = z.infer<typeof schema>;

export interface RecordOptions {
  readonly name: ArchiveName;
  readonly encrypted: boolean;
  readonly codec: Codec;
  readonly chunkSize: number;
  readonly dedup: boolean;
}

/** A new archive: random id and key. */
export function newRecord({ name, encrypted, codec, chunkSize: size, dedup }: RecordOptions): WrappedRecord {
  const archive = randomBytes(16).toString('hex') as ArchiveId;
  return { archive, name, encrypted, codec, chunkSize: size, dedup, key: plain(randomBytes(KEY_LENGTH)) };
}

export function encodeRecord(record: WrappedRecord): Uint8Array {
  return encodeFields(schema, record, "the archive's key record");
}

/** @throws SparsebakError `integrity` */
export function decodeRecord(encoded: Uint8Array): WrappedRecord {
  return decodeFields(schema, encoded, "the archive's key record");
}

/** Each has 32 bytes; plain data, so that it can be passed to worker threads. */
export interface WorkingKeys {
  readonly identity: Uint8Array;
  readonly seal: Uint8Array;
  readonly nonce: Uint8Array;
  readonly mac: Uint8Array;
}

/** HKDF-SHA-512 (RFC 5869) of the archive key, salted with the archive's id. */
export function workingKeys({ archive, key }: WrappedRecord): WorkingKeys {
  const salt = Buffer.from(archive, 'hex');
  const derive = (label: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha512', key, salt, `sparsebak 1 ${label}`, KEY_LENGTH));
  return { identity: derive('identity'), seal: derive('seal'), nonce: derive('nonce'), mac: derive('mac') };
}
