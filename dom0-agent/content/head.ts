/** The signed description of one volume in one session (docs/format.md, section 7). */
import { MAX_VOLUME_SIZE } from '../../shared/archive/address.ts';
import * as z from '../../shared/zod.ts';
import {
  archiveId,
  chunkSize,
  decodeFields,
  encodeFields,
  hash,
  pairingId,
  sequence,
  session,
  uint,
  volumeId,
  volumeName,
  writerId,
} from './fields.ts';

/** The largest stored head in bytes: a name of 4096, and ample space for the rest. */
export const MAX_HEAD_LENGTH = 8 * 1024;

const schema = z
  .strictObject({
    archive: archiveId,
    volume: volumeId,
    session,
    /** The dom0 that made it. */
    writer: writerId,
    /** The send that made it; delta maps are relative to this id. */
    pairing: pairingId,
    /** The sequence of the catalogue that should list it. */
    sequence,
    /** The volume's name at that time; the catalogue's name takes precedence. */
    name: volumeName,
    /** Bytes. */
    size: uint.check(z.maximum(MAX_VOLUME_SIZE)),
    /** Bytes. */
    chunkSize,
    /** The index's hash, through which the head signs the whole content. */
    index: hash,
    /** Of the snapshot, in milliseconds since 1970, by dom0's clock. */
    time: uint,
    /** `running` is crash-consistent. */
    state: z.enum(['stopped', 'running']),
    /** The base session. */
    base: z.nullable(session),
    /** Compared in full, not by a delta map. */
    compared: z.boolean(),
    /** Bytes of whole chunks whose identity changed. */
    changedBytes: uint,
  })
  .check(
    z.refine((head) => head.base === null || head.base < head.session, {
      path: ['base'],
      error: 'not before the session',
    }),
  );

export type Head = z.infer<typeof schema>;

/** @throws SparsebakError `failed` for a head that `decodeHead` would refuse */
export function encodeHead(head: Head): Uint8Array {
  return encodeFields(schema, head, 'the head');
}

/** @throws SparsebakError `integrity` */
export function decodeHead(encoded: Uint8Array, what: string): Head {
  return decodeFields(schema, encoded, what);
}
