/** What a restored qube shall be: the saved settings, as far as they can and should be set here. Pure. */
import { RESTORE_TAG } from '../../../qubes/names.ts';
import { FIREWALL } from '../../../qubes/read-settings.ts';
import type { Settings, SettingsDevice } from '../../../qubes/settings.ts';

/** Something that will not be as it was saved. */
export interface Remark {
  /** Such as `property netvm`. */
  readonly about: string;
  readonly message: string;
  /** Whether the user has to do something for the qube to be as it was. */
  readonly needsUser: boolean;
}

export interface Wanted {
  readonly label: string;
  readonly template: string | null;
  /** Those that are set; all others have their default value. Null: None. */
  readonly properties: Readonly<Record<string, string | null>>;
  /** Properties that refer to other qubes, by name: set when all qubes of a restore exist. */
  readonly links: Readonly<Record<string, string | null>>;
  readonly features: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly firewall: readonly string[] | undefined;
  /** Empty: none. undefined, as for the firewall: not known, so what is there stays. */
  readonly notes: string | undefined;
  readonly devices: readonly SettingsDevice[];
  /** Classes whose assignments were not saved: what is there stays. */
  readonly unknownDevices: readonly string[];
}

/** What decides how saved settings are set here. */
export interface Circumstances {
  readonly name: string;
  /** A name that a saved qube has here or will have; undefined: there is none. */
  readonly nameHere: (saved: string) => string | undefined;
  /** The same for a net qube, which the user may have mapped. */
  readonly netvmHere: (saved: string) => string | undefined;
  readonly template: string | null;
  readonly label: string;
  /** Whether the qube that was saved stays, so that what must be unique cannot be restored. */
  readonly isCopy: boolean;
  /** Whether the qube is created: what was not saved is then as Qubes makes it, and nobody else's. */
  readonly isNew: boolean;
  /** Properties that this release has for the class; undefined: not known. */
  readonly known: ReadonlySet<string> | undefined;
  readonly deviceClasses: ReadonlySet<string>;
}

/** Set by creation or by Qubes itself. */
const NEVER: ReadonlySet<string> = new Set([
  ...['name', 'qid', 'uuid', 'template', 'label', 'klass', 'dispid', 'installed_by_rpm'],
]);
/** Two qubes may not share them. */
const UNIQUE: ReadonlySet<string> = new Set(['mac', 'ip', 'ip6', 'backup_timestamp']);

/** Whether a restore may set, reset or remove it. */
export function isOwnProperty(name: string, isCopy: boolean): boolean {
  return !NEVER.has(name) && !(isCopy && UNIQUE.has(name));
}

/** `preload-dispvm` and its like are a list of running disposables; only the number of them is a setting. */
export function isOwnFeature(name: string): boolean {
  return !name.startsWith('preload-dispvm') || name === 'preload-dispvm-max';
}

export function isOwnTag(tag: string): boolean {
  return tag !== RESTORE_TAG && !/^(created-by|disp-created-by|guivm|audiovm)-/.test(tag);
}

const PRINTABLE = /^[\x20-\x7e]*$/;

export function wantedOf(saved: Settings, here: Circumstances): { wanted: Wanted; remarks: Remark[] } {
  const remarks: Remark[] = [];
  const { properties, links } = propertiesOf(saved, here, remarks);
  return {
    wanted: {
      ...{ label: here.label, template: here.template, properties, links },
      features: featuresOf(saved, remarks),
      tags: saved.tags.filter(isOwnTag).sort(),
      firewall: firewallOf(saved, here, remarks),
      notes: saved.unavailable.includes('notes') ? undefined : saved.notes,
      unknownDevices: saved.unavailable.flatMap((part) => /^devices of class (.*)$/.exec(part)?.[1] ?? []),
      devices: devicesOf(saved, here, remarks),
    },
    remarks: [...remarks, ...unknownParts(saved)],
  };
}

const CLOSED = ['action=drop'];

/** A qube whose rules are not known must not have an open network instead. */
function firewallOf({ unavailable, firewall }: Settings, { isNew }: Circumstances, remarks: Remark[]) {
  if (!unavailable.includes(FIREWALL)) return firewall;
  const what = isNew ? 'all connections are blocked' : 'the present ones stay';
  remarks.push({ about: FIREWALL, message: `its rules are not in the archive: ${what}`, needsUser: true });
  return isNew ? CLOSED : undefined;
}

/** What the qube may have had, for all that the archive knows. */
function unknownParts({ unavailable }: Settings): Remark[] {
  const parts = unavailable.filter((part) => part !== FIREWALL);
  return parts.length === 0 ? [] : [{ about: 'not in the archive', message: parts.join(', '), needsUser: false }];
}

function propertiesOf(
  saved: Settings,
  { nameHere, netvmHere, isCopy, known }: Circumstances,
  remarks: Remark[],
): Pick<Wanted, 'properties' | 'links'> {
  const properties: Record<string, string | null> = {};
  const links: Record<string, string | null> = {};
  for (const [name, { default: isDefault, type, value }] of Object.entries(saved.properties)) {
    if (isDefault || !isOwnProperty(name, isCopy)) continue;
    const about = `property ${name}`;
    if (known?.has(name) === false) {
      const message = `this release of Qubes has no such property: "${value ?? 'none'}" is left out`;
      remarks.push({ about, message, needsUser: true });
      continue;
    }
    if (type !== 'vm') {
      properties[name] = value;
      continue;
    }
    const target = value === null ? null : (name === 'netvm' ? netvmHere : nameHere)(value);
    if (target === undefined) {
      const map = name === 'netvm' ? ' (or choose another with --map-netvm)' : '';
      const message = `the qube ${value ?? ''} is not here: it stays at the default${map}`;
      remarks.push({ about, message, needsUser: true });
    } else {
      links[name] = target;
      if (target !== value) remarks.push({ about, message: `${target} instead of ${value ?? ''}`, needsUser: false });
    }
  }
  return { properties, links };
}

function featuresOf(saved: Settings, remarks: Remark[]): Record<string, string> {
  const features: Record<string, string> = {};
  for (const [name, value] of Object.entries(saved.features)) {
    if (!isOwnFeature(name)) continue;
    if (PRINTABLE.test(value)) features[name] = value;
    else {
      const message = 'its value has characters that Qubes does not accept: it is left out';
      remarks.push({ about: `feature ${name}`, message, needsUser: true });
    }
  }
  return features;
}

function devicesOf(saved: Settings, here: Circumstances, remarks: Remark[]): SettingsDevice[] {
  return saved.devices.flatMap(({ class: deviceClass, device, fields }) => {
    const at = device.indexOf('+');
    const backend = device.slice(0, at);
    const about = `device ${deviceClass} ${device}`;
    const target = backend === 'dom0' ? backend : here.nameHere(backend);
    if (at > 0 && target !== undefined && here.deviceClasses.has(deviceClass)) {
      const names = { backend_domain: target, frontend_domain: here.name };
      const known = Object.entries(names).filter(([key]) => key in fields);
      const changed = { ...fields, ...Object.fromEntries(known) };
      return [{ class: deviceClass, device: `${target}${device.slice(at)}`, fields: changed }];
    }
    const message = here.deviceClasses.has(deviceClass)
      ? `the qube ${backend}, which has the device, is not here: it is not assigned`
      : 'this release of Qubes has no such devices: it is not assigned';
    remarks.push({ about, message, needsUser: true });
    return [];
  });
}
