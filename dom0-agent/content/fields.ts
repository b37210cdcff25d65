/**
 * Fields that heads, catalogues and the wrapped record have in common, and the conversion of their maps to plain data
 * and back.
 */
import { isChunkSize } from '../../shared/archive/address.ts';
import {
  isId,
  isSessionName,
  type ArchiveId,
  type PairingId,
  type SessionName,
  type VolumeId,
} from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { decodeMap, encodeMap } from '../../shared/wire/msgpack.ts';
import * as z from '../../shared/zod.ts';
import { integrityError } from './integrity-error.ts';
import { plain } from './bytes.ts';
import { HASH_LENGTH } from './hash.ts';

/** Bytes of a volume's name in UTF-8. */
export const MAX_NAME_LENGTH = 4096;

export const uint = z.int().check(z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));
/** Each is used once per archive and recorded before use; 1 is the first catalogue's. */
export const sequence = uint.check(z.minimum(1));
export const chunkSize = uint.check(z.refine(isChunkSize, 'not a chunk size'));
export const archiveId = z.custom<ArchiveId>(isIdentifier, 'not an id');
export const volumeId = z.custom<VolumeId>(isIdentifier, 'not an id');
export const pairingId = z.custom<PairingId>(isIdentifier, 'not an id');
export const writerId = z.string().check(z.refine(isId, 'not an id'));
export const session = z.custom<SessionName>(
  (value) => typeof value === 'string' && isSessionName(value),
  'not a session name',
);
export const volumeName = z.string().check(
  z.minLength(1),
  z.refine((name) => Buffer.byteLength(name) <= MAX_NAME_LENGTH, `longer than ${MAX_NAME_LENGTH} bytes`),
);

/** Bytes of any length, as a view of the complete message. */
export const binary: z.ZodMiniType<Uint8Array> = z.instanceof(Uint8Array);

/** Bytes of a fixed length, copied, since a decoded value is a view of the complete message. */
export function bytes(length: number): z.ZodMiniType<Uint8Array> {
  return z.pipe(binary.check(z.refine((value) => value.length === length, `not ${length} bytes`)), z.transform(plain));
}

export const hash = bytes(HASH_LENGTH);

function isIdentifier(value: unknown): boolean {
  return typeof value === 'string' && isId(value);
}

/** Incremented when a field is added: older readers refuse newer versions. */
const MAP_VERSION = 1;

/**
 * A value as a msgpack map, checked by the schema that will read it, so that nothing unreadable is written.
 * @param what names the object in the error
 * @throws SparsebakError `failed`
 */
export function encodeFields<T extends object>(schema: z.ZodMiniType<T>, value: T, what: string): Uint8Array {
  const checked = schema.safeParse(value);
  if (!checked.success) throw new SparsebakError('failed', `${what} cannot be written: ${describe(checked.error)}`);
  return encodeMap({ v: MAP_VERSION, ...checked.data });
}

/**
 * Plain data from an authenticated msgpack map.
 * @param ofNewerRelease the error for a map that is well-formed except for a version, field or name that this program
 * does not know; by default `integrity` too
 * @throws SparsebakError `integrity`
 */
export function decodeFields<T extends object>(
  schema: z.ZodMiniType<T>,
  encoded: Uint8Array,
  what: string,
  ofNewerRelease = (reason: string) => perhapsOfNewerRelease(what, reason),
): T {
  let map: Record<string, unknown>;
  try {
    map = decodeMap(encoded);
  } catch (error) {
    throw integrityError(what, 'not in the form of its type', error);
  }
  const { v, ...fields } = map;
  if (v !== MAP_VERSION) throw ofNewerRelease('it has a version that this program does not know');
  const checked = schema.safeParse(fields);
  if (checked.success) return checked.data;
  const { issues } = checked.error;
  const unknown = issues.map((issue) => unknownPart(issue, fields));
  if (unknown[0] !== undefined && !unknown.includes(undefined)) {
    throw ofNewerRelease(`it has a ${unknown[0]} that this program does not know`);
  }
  throw integrityError(what, describe(checked.error));
}

function perhapsOfNewerRelease(what: string, reason: string): SparsebakError {
  return new SparsebakError('integrity', `${what}: ${reason}`, {
    hint: 'If a newer release of sparsebak made it, upgrade this one.',
  });
}

/** What a newer release may have added: a field, or another name in a field that has one of several. */
function unknownPart(issue: z.core.$ZodIssue, fields: Record<string, unknown>): string | undefined {
  if (issue.code === 'unrecognized_keys') return 'field';
  const [field, ...deeper] = issue.path;
  const isName = issue.code === 'invalid_value' && typeof field === 'string' && typeof fields[field] === 'string';
  return isName && deeper.length === 0 ? `value of "${field}"` : undefined;
}

/** The first error: where and why, never the value, which may be a key. */
function describe(error: z.core.$ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'not in the form of its type';
  if (issue.code === 'unrecognized_keys') return 'it has a field that this program does not know';
  const path = issue.path.map((part) => (typeof part === 'number' ? String(part) : JSON.stringify(String(part))));
  return `${path.join('.')}: ${issue.message}`;
}
