/** Compares two settings documents, item by item. */
import type { Settings, SettingsDevice, SettingsProperty } from '../../qubes/settings.ts';

export interface Difference {
  /** Such as `property netvm`, `feature service.cups`, `volume private size`. */
  readonly item: string;
  /** Null: it is not set, or does not exist. */
  readonly saved: string | null;
  readonly now: string | null;
}

/** What differs, in the order of the document. A property with its default value is "default", whatever that is. */
export function differences(saved: Settings, now: Settings): Difference[] {
  const [before, after] = [itemsOf(saved), itemsOf(now)];
  const items = [...new Set([...before.keys(), ...after.keys()])];
  return items.flatMap((item) => {
    const [one, other] = [before.get(item) ?? null, after.get(item) ?? null];
    return one === other ? [] : [{ item, saved: one, now: other }];
  });
}

/** Those that say themselves what the document says elsewhere, or that every system sets by itself. */
const ELSEWHERE: ReadonlySet<string> = new Set(['name', 'uuid', 'qid', 'klass', 'label', 'template']);

function itemsOf(document: Settings): Map<string, string> {
  const { label, template, properties, features, tags, firewall, notes, devices, volumes, release } = document;
  const items = new Map<string, string>([
    ['name', document.name],
    ['class', document.class],
    ['label', label.name],
  ]);
  if (template !== null) items.set('template', template);
  for (const [volume, { pool, size, revisionsToKeep }] of Object.entries(volumes)) {
    items.set(`volume ${volume} pool`, pool);
    items.set(`volume ${volume} size`, String(size));
    items.set(`volume ${volume} revisions to keep`, String(revisionsToKeep));
  }
  for (const [name, property] of Object.entries(properties)) {
    if (!ELSEWHERE.has(name)) items.set(`property ${name}`, describeProperty(property));
  }
  for (const [name, value] of Object.entries(features)) items.set(`feature ${name}`, JSON.stringify(value));
  for (const tag of tags) items.set(`tag ${tag}`, 'set');
  items.set('firewall', firewall.join('\n'));
  if (notes !== '') items.set('notes', notes);
  for (const device of devices) items.set(`device ${deviceKey(device)}`, describeFields(device));
  if (release !== null) items.set('release', release);
  return items;
}

export function describeProperty({ default: isDefault, value }: SettingsProperty): string {
  return isDefault ? 'default' : (value ?? 'none');
}

/** Its mode, and its options: those that `deviceKey` does not say. */
function describeFields({ fields }: SettingsDevice): string {
  const options = Object.entries(fields).filter(([key]) => !IN_KEY.has(key));
  return [fields.mode ?? 'assigned', ...options.sort().map(([key, value]) => `${key}=${JSON.stringify(value)}`)].join(
    ' ',
  );
}

const IN_KEY: ReadonlySet<string> = new Set([
  ...['mode', 'device_id', 'port_id', 'devclass', 'backend_domain', 'frontend_domain'],
]);

export function deviceKey({ class: deviceClass, device }: SettingsDevice): string {
  return `${deviceClass} ${device}`;
}
