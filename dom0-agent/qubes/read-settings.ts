/** Reads a qube's settings from qubesd. */
import { readFileSync } from 'node:fs';
import type { Assignment } from './answers.ts';
import type { Qubesd, QubeEntry } from './qubesd.ts';
import type { Settings, SettingsDevice } from './settings.ts';
import { QubesdRefusal } from './socket.ts';

/** Properties that say how a qube runs at the moment; they would make its settings differ at every start. */
const MOMENTARY: ReadonlySet<string> = new Set(['xid', 'stubdom_xid', 'start_time']);

/** What is the same for all qubes of a run. */
export interface Surroundings {
  readonly release: string | null;
  readonly deviceClasses: readonly string[];
  /** Colours by label, filled while qubes are read. */
  readonly colours: Map<string, Promise<string | undefined>>;
}

export async function surroundings(qubesd: Qubesd): Promise<Surroundings> {
  const deviceClasses = await optional(qubesd, () => qubesd.deviceClasses());
  return { release: qubesRelease(), deviceClasses: deviceClasses ?? [], colours: new Map() };
}

/** The name of that part among those that are unavailable. */
export const FIREWALL = 'firewall';

const RELEASE_FILE = '/etc/qubes-release';

/** Such as `R4.3`; null if the file does not say. The file's line is `Qubes release 4.3 (R4.3)`. */
function qubesRelease(): string | null {
  try {
    return /\((R[^)]+)\)/.exec(readFileSync(RELEASE_FILE, 'utf8'))?.[1] ?? null;
  } catch {
    return null;
  }
}

/**
 * @param onRefusal gets each part that qubesd has and failed to show, and why
 * @throws what calling qubesd throws; a part that this release does not have is named in the document
 */
export async function readSettings(
  qubesd: Qubesd,
  { name, uuid, class: qubeClass, state }: QubeEntry,
  { release, deviceClasses, colours }: Surroundings,
  onRefusal: (part: string, reason: string) => void = () => undefined,
): Promise<Settings> {
  const unavailable: string[] = [];
  const part = async <T>(title: string, read: () => Promise<T>, otherwise: T): Promise<T> => {
    const value = await optional(qubesd, read, ({ exception, message }) => {
      // Every release has a firewall; of others, an empty answer may mean that this one has no such method.
      if (exception !== undefined || title === FIREWALL) onRefusal(title, message);
    });
    if (value === undefined) unavailable.push(title);
    return value ?? otherwise;
  };
  const [all, features, tags, firewall, notes, devices, volumes] = await Promise.all([
    qubesd.properties(name),
    qubesd.features(name),
    qubesd.tags(name),
    part(FIREWALL, () => qubesd.firewall(name), []),
    part('notes', () => qubesd.notes(name), ''),
    Promise.all(
      deviceClasses.map(async (each) =>
        (await part(`devices of class ${each}`, () => qubesd.assignments(name, each), [])).map((one) =>
          deviceOf(each, one),
        ),
      ),
    ),
    qubesd.volumes(name),
  ]);
  const { label, template } = all;
  const properties = Object.entries(all).filter(([property]) => !MOMENTARY.has(property));
  return {
    ...{ format: 1, name, uuid, class: qubeClass, state },
    label: { name: label?.value ?? '', colour: (await colourOf(qubesd, label?.value ?? '', colours)) ?? null },
    template: template?.value ?? null,
    properties: Object.fromEntries(
      properties.map(([property, { isDefault, type, value }]) => [property, { default: isDefault, type, value }]),
    ),
    ...{ features, tags, firewall, notes, devices: devices.flat(), release },
    volumes: Object.fromEntries(
      volumes.map(({ name: volume, pool, vid, size, revisionsToKeep, saveOnStop }) => [
        volume,
        { pool, vid, size: saveOnStop ? size : 0, revisionsToKeep, saved: saveOnStop },
      ]),
    ),
    unavailable: unavailable.sort(),
  };
}

function deviceOf(deviceClass: string, { device, fields }: Assignment): SettingsDevice {
  return { class: deviceClass, device, fields: { ...fields } };
}

function colourOf(qubesd: Qubesd, label: string, colours: Surroundings['colours']): Promise<string | undefined> {
  const known = colours.get(label);
  if (known !== undefined) return known;
  const asked = label === '' ? Promise.resolve(undefined) : qubesd.label(label);
  colours.set(label, asked);
  return asked;
}

/**
 * undefined: qubesd refuses, as it does for what its release does not have. A qubesd that ends in the middle of a call
 * looks the same, so it must answer something else before, and refuse again.
 */
async function optional<T>(
  qubesd: Qubesd,
  read: () => Promise<T>,
  onRefusal: (refusal: QubesdRefusal) => void = () => undefined,
): Promise<T | undefined> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof QubesdRefusal)) throw error;
      if (error.exception === undefined && attempt === 0) await qubesd.qubes();
      else {
        onRefusal(error);
        return undefined;
      }
    }
  }
}
