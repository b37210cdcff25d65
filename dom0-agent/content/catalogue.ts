/** The signed list of an archive's volumes and their newest heads (docs/format.md, section 8). */
import { isSessionName, type SessionName } from '../../shared/archive/names.ts';
import * as z from '../../shared/zod.ts';
import {
  archiveId,
  decodeFields,
  encodeFields,
  hash,
  sequence,
  session,
  volumeId,
  volumeName,
  writerId,
} from './fields.ts';

/** The largest stored catalogue in bytes, as the protocol carries it in one piece. */
export const MAX_CATALOGUE_LENGTH = 16 * 2 ** 20;
/**
 * The most volumes, including deleted ones, and the most tagged sessions of one volume: the limit of arrays and maps in
 * the msgpack subset.
 */
export const MAX_VOLUMES = 4096;
/** The most tags of one session. */
export const MAX_TAGS = 64;
/** The most records of earlier writers; the oldest are dropped. */
export const MAX_ADOPTIONS = 64;
/** The longest tag, in bytes of UTF-8. */
export const MAX_TAG_LENGTH = 256;

const tag = z.string().check(
  z.minLength(1),
  z.refine((text) => Buffer.byteLength(text) <= MAX_TAG_LENGTH, `longer than ${MAX_TAG_LENGTH} bytes`),
);

const tags = z.pipe(
  z.record(z.string(), z.array(tag).check(z.minLength(1), z.maxLength(MAX_TAGS))).check(
    z.refine((bySession) => Object.keys(bySession).length <= MAX_VOLUMES, 'too many sessions'),
    z.refine((bySession) => Object.keys(bySession).every(isSessionName), 'not a session name'),
  ),
  z.transform((bySession) => bySession as Record<SessionName, string[]>),
);

const volume = z
  .strictObject({
    id: volumeId,
    name: volumeName,
    /** A deleted volume stays as a tombstone, so that the receiver cannot bring it back. */
    state: z.enum(['active', 'deleted']),
    /** The newest session and the object hash of its head; null before the first session, and in a tombstone. */
    session: z.nullable(session),
    head: z.nullable(hash),
    /** By session. */
    tags,
  })
  .check(
    z.refine((entry) => (entry.session === null) === (entry.head === null), {
      path: ['head'],
      error: 'session and head must be given together',
    }),
  );

/** The last catalogue of a writer before another one took over. */
const adoption = z.strictObject({ writer: writerId, sequence, hash });
export type Adoption = z.infer<typeof adoption>;

const adopted = z.array(adoption).check(
  z.minLength(1),
  z.maxLength(MAX_ADOPTIONS),
  z.refine(
    (list) => list.every((each, index) => each.sequence > (list[index - 1]?.sequence ?? 0)),
    'not in the order of their sequences',
  ),
  z.refine((list) => new Set(list.map(({ writer }) => writer)).size === list.length, 'a writer is repeated'),
);

const schema = z.strictObject({
  archive: archiveId,
  /** The one dom0 that may write. */
  writer: writerId,
  /** 1 for the first; each catalogue's is above the one it replaces. */
  sequence,
  /** Where the lines of all earlier writers ended; absent if there was none, and in catalogues of earlier releases. */
  adopted: z.exactOptional(adopted),
  volumes: z.array(volume).check(
    z.maxLength(MAX_VOLUMES),
    z.refine(
      (list) => list.every(({ id }, index) => id > (list[index - 1]?.id ?? '')),
      'not in the order of their ids, each once',
    ),
  ),
});

export type Catalogue = z.infer<typeof schema>;
export type CatalogueVolume = Catalogue['volumes'][number];

/**
 * Volumes need not be in order.
 * @throws SparsebakError `failed` for a catalogue that `decodeCatalogue` would refuse
 */
export function encodeCatalogue(catalogue: Catalogue): Uint8Array {
  const volumes = catalogue.volumes.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return encodeFields(schema, { ...catalogue, volumes }, 'the catalogue');
}

/** @throws SparsebakError `integrity` */
export function decodeCatalogue(encoded: Uint8Array, what: string): Catalogue {
  return decodeFields(schema, encoded, what);
}
