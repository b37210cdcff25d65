/**
 * The settings document of a qube: everything that Qubes knows of it besides the content of its volumes, as canonical
 * JSON (keys sorted, two spaces, one newline at the end), so that equal settings are equal bytes. In an archive it is
 * an ordinary volume, `QUBE:settings`. docs/qubes.md describes each field.
 */
import { SparsebakError } from '../../shared/errors.ts';
import * as z from '../../shared/zod.ts';

const text = z.string();
const property = z.strictObject({ default: z.boolean(), type: text, value: z.nullable(text) });

const volume = z.strictObject({
  pool: text,
  /** Its name in the pool. */
  vid: text,
  /** Bytes. */
  size: z.int().check(z.minimum(0)),
  revisionsToKeep: z.int(),
  /** Whether the archive has its content. */
  saved: z.boolean(),
});

const device = z.strictObject({ class: text, device: text, fields: z.record(text, text) });

const settings = z.strictObject({
  format: z.literal(1),
  name: text,
  uuid: text,
  class: text,
  /** As qubesd calls it, when the snapshots were made: `Running`, `Halted`, … */
  state: text,
  label: z.strictObject({ name: text, colour: z.nullable(text) }),
  /** Null: a class without a template. */
  template: z.nullable(text),
  properties: z.record(text, property),
  features: z.record(text, text),
  tags: z.array(text),
  firewall: z.array(text),
  notes: text,
  devices: z.array(device),
  volumes: z.record(text, volume),
  /** Such as `R4.3`; null: not known. */
  release: z.nullable(text),
  /** Parts that this release of Qubes does not have, or refused to show. */
  unavailable: z.array(text),
});

export type Settings = z.infer<typeof settings>;
export type SettingsDevice = z.infer<typeof device>;
export type SettingsProperty = z.infer<typeof property>;

/** Bytes; more than any qube's settings take. */
export const MAX_SETTINGS = 4 * 1024 * 1024;

/** UTF-8. */
export function encodeSettings(document: Settings): Buffer {
  return Buffer.from(`${JSON.stringify(sorted(document), undefined, 2)}\n`);
}

/** @param name of the volume that it comes from, for errors @throws `failed` */
export function decodeSettings(bytes: Uint8Array, name: string): Settings {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (error) {
    throw new SparsebakError('failed', `${name}: the settings are not JSON`, { cause: error });
  }
  const format = z.looseObject({ format: z.int() }).safeParse(parsed).data?.format ?? 0;
  if (format > 1) {
    throw new SparsebakError('failed', `${name}: the settings were written by a newer sparsebak (format ${format})`, {
      hint: 'Install that sparsebak, or restore the document itself with "sparsebak restore --to".',
    });
  }
  const checked = settings.safeParse(parsed);
  if (checked.success) return checked.data;
  throw new SparsebakError('failed', `${name}: the settings have another form: ${z.prettifyError(checked.error)}`);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}
