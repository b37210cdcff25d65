/**
 * The wrapped record, which contains everything that never changes in an archive, and the working keys (docs/format.md,
 * sections 3 and 9).
 */
import { hkdfSync, randomBytes } from 'node:crypto';
import { isArchiveName, type ArchiveId, type ArchiveName } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import * as z from '../../shared/zod.ts';
import { CODECS, type Codec } from './compression.ts';
import { archiveId, bytes, chunkSize, decodeFields, encodeFields } from './fields.ts';
import { plain } from './bytes.ts';
import type { MacName } from './mac-names.ts';
import { KEY_LENGTH } from './xaes.ts';

const archiveName = z.custom<ArchiveName>(
  (value) => typeof value === 'string' && isArchiveName(value),
  'not an archive name',
);

const schema = z.strictObject({
  archive: archiveId,
  /** The archive's name, so that no other archive can be shown in its place. Records of earlier releases have none. */
  name: z.exactOptional(archiveName),
  /** False: a plain archive, whose key only signs. */
  encrypted: z.boolean(),
  /** Fixed in a plain archive; in an encrypted one it is the codec of new chunks. */
  codec: z.enum(CODECS),
  /** Bytes. */
  chunkSize,
  /** Equal chunks get equal stored bytes. */
  dedup: z.boolean(),
  /** The MAC of the archive if it is not BLAKE2b, which records of earlier releases do not name. */
  identity: z.exactOptional(z.literal('sha256', 'not the name of a MAC')),
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
  /** Without it, BLAKE2b. */
  readonly mac?: MacName;
}

/** A new archive: random id and key. */
export function newRecord({ mac = 'blake2b', ...options }: RecordOptions): WrappedRecord {
  const archive = randomBytes(16).toString('hex') as ArchiveId;
  const identity = mac === 'blake2b' ? {} : { identity: mac };
  return { archive, ...options, ...identity, key: plain(randomBytes(KEY_LENGTH)) };
}

/** The function of identities and of every other MAC of the archive. */
export function macOf({ identity }: Pick<WrappedRecord, 'identity'>): MacName {
  return identity ?? 'blake2b';
}

export function encodeRecord(record: WrappedRecord): Uint8Array {
  return encodeFields(schema, record, "the archive's key record");
}

/** @throws SparsebakError `integrity`; `config` for a record that a newer release made */
export function decodeRecord(encoded: Uint8Array): WrappedRecord {
  return decodeFields(schema, encoded, "the archive's key record", ofNewerRelease);
}

/** Not damage: a secret has opened the record, or it is this computer's own. */
function ofNewerRelease(reason: string): SparsebakError {
  return new SparsebakError('config', `the archive was made by a newer release of sparsebak (key record: ${reason})`, {
    hint:
      'Upgrade sparsebak on this computer. If this release has opened the archive before, its record here is ' +
      'damaged: run "sparsebak key unlock --again".',
  });
}

/** Each has 32 bytes; plain data, so that it can be passed to worker threads. */
export interface WorkingKeys {
  readonly identity: Uint8Array;
  readonly seal: Uint8Array;
  readonly nonce: Uint8Array;
  readonly mac: Uint8Array;
}

/**
 * HKDF-SHA-512 (RFC 5869) of the archive key, salted with the archive's id. A key belongs to one function: those of
 * MACs have another label for each.
 */
export function workingKeys({ archive, key, identity: other }: WrappedRecord): WorkingKeys {
  const salt = Buffer.from(archive, 'hex');
  const derive = (label: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha512', key, salt, `sparsebak 1 ${label}`, KEY_LENGTH));
  const forMac = (label: string): Uint8Array => derive(other === undefined ? label : `${label} ${other}`);
  return { identity: forMac('identity'), seal: derive('seal'), nonce: forMac('nonce'), mac: forMac('mac') };
}
