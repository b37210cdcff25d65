/**
 * Checks key slots and catalogues as far as possible without a key: the form of docs/format.md, sections 5, 6, 8 and 9.
 * So garbage never replaces a slot or catalogue, and much damage to stored ones is found. Only dom0 can verify sealed
 * and signed content. Unknown fields are ignored: a newer dom0 may write some.
 */
import { createHash } from 'node:crypto';
import { isId } from '../../shared/archive/names.ts';
import { asSparsebakError } from '../../shared/errors.ts';
import { decodeMap } from '../../shared/wire/msgpack.ts';
import * as z from '../../shared/zod.ts';
import { Refusal } from './refusal.ts';
import type { NewArchive, Slot } from './store.ts';

/** The archive to which the object belongs. */
export type FormOf = Pick<NewArchive, 'id' | 'encrypted'>;

/** The largest stored slot in bytes. */
export const MAX_SLOT = 4 * 1024;
/** The largest stored catalogue in bytes. */
export const MAX_CATALOGUE = 16 * 2 ** 20;

const VERSION = 1;
const TYPE = { catalogue: 5, slot: 6 } as const;
/** Bytes of a sealed object besides its payload: version, type, nonce, codec, tag. */
const SEALED = 2 + 24 + 1 + 16;
/** Bytes before a signed object's payload (version, type, codec), and after it. */
const SIGNED_HEAD = 3;
const MAC = 32;
const MAX_VOLUMES = 4096;

const KIND_NUMBER = { passphrase: 1, recovery: 2 } as const;

const id = z.custom<string>((value) => typeof value === 'string' && isId(value), 'not an id');
const uint = z.int().check(z.minimum(0));
const u32 = uint.check(z.maximum(2 ** 32 - 1));
const bytes = (length: number) =>
  z.instanceof(Uint8Array).check(z.refine((value) => value.length === length, `not ${length} bytes`));

const slotFields = z.looseObject({
  v: z.literal(VERSION),
  archive: id,
  kind: z.enum(['passphrase', 'recovery']),
  n: uint,
  r: u32,
  p: u32,
  salt: bytes(32),
  sealed: z.instanceof(Uint8Array),
  check: bytes(8),
});

const catalogueFields = z.looseObject({
  v: z.literal(VERSION),
  archive: id,
  writer: id,
  sequence: uint.check(z.minimum(1)),
  volumes: z
    .array(z.looseObject({ id, name: z.string().check(z.minLength(1)), state: z.string(), tags: z.looseObject({}) }))
    .check(z.maxLength(MAX_VOLUMES)),
});

/** @throws Refusal `bad-request` */
export function mustBeSlot({ id: archive }: FormOf, { name, data }: Slot): void {
  const fault = slotFault(archive, data);
  if (fault !== undefined) throw new Refusal('bad-request', `key slot "${name}" is malformed: ${fault}`);
}

/** @throws Refusal `bad-request` */
export function mustBeCatalogue(archive: FormOf, data: Uint8Array): void {
  const fault = catalogueFault(archive, data);
  if (fault !== undefined) throw new Refusal('bad-request', `the catalogue is malformed: ${fault}`);
}

/** Why the bytes are not a key slot of the archive; undefined if they have the right form. */
export function slotFault(archive: string, data: Uint8Array): string | undefined {
  if (data.length > MAX_SLOT) return `${data.length} bytes, more than the ${MAX_SLOT} allowed`;
  const slot = fieldsOf(slotFields, data);
  if (typeof slot === 'string') return slot;
  if (slot.archive !== archive) return `it belongs to archive ${slot.archive}`;
  if (!isSealed(slot.sealed, TYPE.slot)) return 'field sealed: not a sealed slot';
  return Buffer.compare(checkOf(slot), slot.check) === 0 ? undefined : 'field check: not that of the other fields';
}

/** Why the bytes are not a catalogue of the archive; undefined if they have the right form. */
export function catalogueFault({ id: archive, encrypted }: FormOf, data: Uint8Array): string | undefined {
  if (data.length === 0) return 'it is empty';
  if (data.length > MAX_CATALOGUE) return `${data.length} bytes, more than the ${MAX_CATALOGUE} allowed`;
  if (encrypted) return isSealed(data, TYPE.catalogue) ? undefined : 'not a sealed catalogue';
  if (data.length < SIGNED_HEAD + MAC || data[0] !== VERSION || data[1] !== TYPE.catalogue || data[2] !== 0) {
    return 'not a signed catalogue';
  }
  const catalogue = fieldsOf(catalogueFields, data.subarray(SIGNED_HEAD, data.length - MAC));
  if (typeof catalogue === 'string') return catalogue;
  return catalogue.archive === archive ? undefined : `it belongs to archive ${catalogue.archive}`;
}

function isSealed(data: Uint8Array, type: number): boolean {
  return data.length >= SEALED && data[0] === VERSION && data[1] === type;
}

/** The fields of a msgpack map, or what is wrong with it. */
function fieldsOf<T>(schema: z.ZodMiniType<T>, data: Uint8Array): T | string {
  let map: unknown;
  try {
    map = decodeMap(data);
  } catch (error) {
    return `not a msgpack map: ${asSparsebakError(error).message}`;
  }
  const { data: fields, error } = schema.safeParse(map);
  if (fields !== undefined) return fields;
  const issue = error?.issues[0];
  return `field ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong'}`;
}

/** The check value by which dom0 distinguishes damage from a wrong passphrase. It proves nothing else. */
function checkOf({ archive, kind, n, r, p, salt, sealed }: z.infer<typeof slotFields>): Uint8Array {
  const numbers = Buffer.alloc(17);
  numbers.writeUInt8(KIND_NUMBER[kind], 0);
  numbers.writeBigUInt64BE(BigInt(n), 1);
  numbers.writeUInt32BE(r, 9);
  numbers.writeUInt32BE(p, 13);
  const hash = createHash('sha512-256').update(Buffer.from(archive, 'hex')).update(numbers).update(salt);
  return hash.update(sealed).digest().subarray(0, 8);
}
