/** The questions and changes that qubesd is asked for, each a method of Qubes' administration API. */
import { SparsebakError } from '../../shared/errors.ts';
import {
  assignmentOf,
  fieldsOf,
  linesOf,
  pairsOf,
  propertiesOf,
  propertyOf,
  type Assignment,
  type Property,
} from './answers.ts';
import { callQubesd, QubesdRefusal, QUBESD_SOCKET, type Call } from './socket.ts';

export interface QubeEntry {
  readonly name: string;
  /** `AppVM`, `TemplateVM`, `StandaloneVM`, `DispVM`, `AdminVM`, or one that a later release adds. */
  readonly class: string;
  /** `Halted`, `Running`, `Transient`, `Paused`, … */
  readonly state: string;
  readonly uuid: string;
}

export interface QubeVolume {
  /** `private`, `root`, … */
  readonly name: string;
  readonly pool: string;
  /** The volume's name in its pool: `appvms/mail/private`, or `VG/vm-mail-private`. */
  readonly vid: string;
  /** Bytes. */
  readonly size: number;
  /** Bytes that it takes. */
  readonly usage: number;
  readonly saveOnStop: boolean;
  /** −1: none are kept, and a running qube writes to the volume itself. */
  readonly revisionsToKeep: number;
}

export interface QubesPool {
  readonly name: string;
  /** `file-reflink`, `lvm_thin`, … */
  readonly driver: string;
  /** `dir_path`, or `volume_group` and `thin_pool`, … */
  readonly fields: Readonly<Record<string, string>>;
}

/** A qube to be created. */
export interface NewQube {
  readonly class: string;
  /** Null: a class without a template. */
  readonly template: string | null;
  readonly name: string;
  readonly label: string;
  /** By volume; the others get the system's default pools. */
  readonly pools: Readonly<Record<string, string>>;
}

/** Calls that are on their way at once: qubesd answers one after another, so more would only wait. */
const AT_ONCE = 8;

export class Qubesd {
  readonly socket: string;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(socket: string = QUBESD_SOCKET) {
    this.socket = socket;
  }

  /** @throws QubesdRefusal; SparsebakError `config` if this is not Qubes, `source` if qubesd does not answer */
  async call(method: string, dest: string, arg?: string, payload?: string): Promise<string> {
    while (this.#running >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running++;
    try {
      const call: Call = {
        ...{ method, dest },
        ...(arg === undefined ? {} : { arg }),
        ...(payload === undefined ? {} : { payload }),
      };
      return (await callQubesd(this.socket, call)).toString('utf8');
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  /** All qubes but dom0, sorted by name. */
  async qubes(): Promise<QubeEntry[]> {
    const entries = linesOf(await this.call('admin.vm.List', 'dom0')).map(entryOf);
    const qubes = await Promise.all(
      entries.filter((entry) => entry.class !== 'AdminVM').map((entry) => this.#withId(entry)),
    );
    return qubes.flat().sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** R4.2 lists no uuid. Empty: the qube was removed meanwhile. */
  async #withId(entry: QubeEntry): Promise<QubeEntry[]> {
    if (entry.uuid !== '') return [entry];
    try {
      return [{ ...entry, uuid: (await this.property(entry.name, 'uuid')).value ?? '' }];
    } catch (error) {
      if (error instanceof QubesdRefusal) return [];
      throw error;
    }
  }

  /** undefined: there is no such qube. */
  async qube(name: string): Promise<QubeEntry | undefined> {
    return (await this.qubes()).find((entry) => entry.name === name);
  }

  async property(qube: string, name: string): Promise<Property> {
    return propertyOf(await this.call('admin.vm.property.Get', qube, name));
  }

  async properties(qube: string): Promise<Readonly<Record<string, Property>>> {
    return propertiesOf(await this.call('admin.vm.property.GetAll', qube));
  }

  /** @param value null: None */
  async setProperty(qube: string, name: string, value: string | null): Promise<void> {
    await this.call('admin.vm.property.Set', qube, name, value ?? '');
  }

  async resetProperty(qube: string, name: string): Promise<void> {
    await this.call('admin.vm.property.Reset', qube, name);
  }

  /** Those of the whole system, such as `default_netvm`. */
  async systemProperties(): Promise<Readonly<Record<string, Property>>> {
    return propertiesOf(await this.call('admin.property.GetAll', 'dom0'));
  }

  async features(qube: string): Promise<Readonly<Record<string, string>>> {
    const names = linesOf(await this.call('admin.vm.feature.List', qube)).sort();
    const values = await Promise.all(names.map((name) => this.call('admin.vm.feature.Get', qube, name)));
    return Object.fromEntries(names.map((name, at) => [name, values[at] ?? '']));
  }

  async setFeature(qube: string, name: string, value: string): Promise<void> {
    await this.call('admin.vm.feature.Set', qube, name, value);
  }

  async removeFeature(qube: string, name: string): Promise<void> {
    await this.call('admin.vm.feature.Remove', qube, name);
  }

  /** Sorted. */
  async tags(qube: string): Promise<string[]> {
    return linesOf(await this.call('admin.vm.tag.List', qube)).sort();
  }

  async setTag(qube: string, tag: string): Promise<void> {
    await this.call('admin.vm.tag.Set', qube, tag);
  }

  async removeTag(qube: string, tag: string): Promise<void> {
    await this.call('admin.vm.tag.Remove', qube, tag);
  }

  /** Rules, one a line, as qubesd writes them. */
  async firewall(qube: string): Promise<string[]> {
    return linesOf(await this.call('admin.vm.firewall.Get', qube));
  }

  async setFirewall(qube: string, rules: readonly string[]): Promise<void> {
    await this.call('admin.vm.firewall.Set', qube, undefined, rules.map((rule) => `${rule}\n`).join(''));
  }

  async notes(qube: string): Promise<string> {
    return await this.call('admin.vm.notes.Get', qube);
  }

  /** @param text not empty: qubesd refuses that */
  async setNotes(qube: string, text: string): Promise<void> {
    await this.call('admin.vm.notes.Set', qube, undefined, text);
  }

  async deviceClasses(): Promise<string[]> {
    return linesOf(await this.call('admin.deviceclass.List', 'dom0')).sort();
  }

  async assignments(qube: string, deviceClass: string): Promise<Assignment[]> {
    const lines = linesOf(await this.call(`admin.vm.device.${deviceClass}.Assigned`, qube));
    return lines.sort().map(assignmentOf);
  }

  async volumes(qube: string): Promise<QubeVolume[]> {
    const names = linesOf(await this.call('admin.vm.volume.List', qube));
    return await Promise.all(names.map((name) => this.volume(qube, name)));
  }

  async volume(qube: string, name: string): Promise<QubeVolume> {
    return volumeOf(name, pairsOf(await this.call('admin.vm.volume.Info', qube, name)));
  }

  /** Where Qubes finds a volume now: of a thin pool, by what qubesd last read of it. */
  async volumePath(qube: string, volume: string): Promise<string> {
    return pairsOf(await this.call('admin.vm.volume.Info', qube, volume)).path ?? '';
  }

  /** @param count −1: none, and a running qube writes to the volume itself */
  async setRevisionsToKeep(qube: string, volume: string, count: number): Promise<void> {
    await this.call('admin.vm.volume.Set.revisions_to_keep', qube, volume, String(count));
  }

  /** @param size bytes; qubesd refuses less than the volume has */
  async resizeVolume(qube: string, volume: string, size: number): Promise<void> {
    await this.call('admin.vm.volume.Resize', qube, volume, String(size));
  }

  /** Names of the revisions that Qubes keeps of a volume. */
  async revisions(qube: string, volume: string): Promise<string[]> {
    return linesOf(await this.call('admin.vm.volume.ListSnapshots', qube, volume));
  }

  /** Creates a qube; its volumes are empty, or copies of its template's. */
  async create({ class: qubeClass, template, name, label, pools }: NewQube): Promise<void> {
    const words = [`name=${name}`, `label=${label}`];
    for (const [volume, pool] of Object.entries(pools)) words.push(`pool:${volume}=${pool}`);
    await this.call(`admin.vm.CreateInPool.${qubeClass}`, 'dom0', template ?? undefined, words.join(' '));
  }

  async assign(qube: string, deviceClass: string, { device, fields }: Assignment): Promise<void> {
    const payload = Object.entries(fields).map(([key, value]) => `${key}='${value.replaceAll("'", String.raw`\'`)}'`);
    await this.call(`admin.vm.device.${deviceClass}.Assign`, qube, deviceArgument(device), payload.join(' '));
  }

  async unassign(qube: string, deviceClass: string, device: string): Promise<void> {
    await this.call(`admin.vm.device.${deviceClass}.Unassign`, qube, deviceArgument(device));
  }

  async pools(): Promise<string[]> {
    return linesOf(await this.call('admin.pool.List', 'dom0'));
  }

  async pool(name: string): Promise<QubesPool> {
    const fields = pairsOf(await this.call('admin.pool.Info', 'dom0', name));
    return { name, driver: fields.driver ?? '', fields };
  }

  /** @returns its colour, such as `0xcc0000`; undefined: there is no such label */
  async label(name: string): Promise<string | undefined> {
    try {
      return await this.call('admin.label.Get', 'dom0', name);
    } catch (error) {
      // Which class the exception has depends on the release.
      if (error instanceof QubesdRefusal && error.exception !== undefined) return undefined;
      throw error;
    }
  }

  async createLabel(name: string, colour: string): Promise<void> {
    await this.call('admin.label.Create', 'dom0', name, colour);
  }
}

/** `sys-net+sda1:*`, as it is listed, is `sys-net+sda1+*` in an argument. */
function deviceArgument(device: string): string {
  const at = device.indexOf(':', device.indexOf('+'));
  return at < 0 ? device : `${device.slice(0, at)}+${device.slice(at + 1)}`;
}

function entryOf(line: string): QubeEntry {
  const { name, fields } = fieldsOf(line);
  return { name, class: fields.class ?? '', state: fields.state ?? '', uuid: fields.uuid ?? '' };
}

function volumeOf(name: string, fields: Readonly<Record<string, string>>): QubeVolume {
  const { pool, vid, size, usage, save_on_stop: saved, revisions_to_keep: revisions } = fields;
  if (pool === undefined || vid === undefined || saved === undefined) {
    throw new SparsebakError('source', `qubesd's answer about the volume ${name} has no pool, vid or save_on_stop`);
  }
  return {
    ...{ name, pool, vid },
    size: Number(size),
    usage: Number(usage ?? 0),
    saveOnStop: saved === 'True',
    revisionsToKeep: Number(revisions ?? 1),
  };
}
