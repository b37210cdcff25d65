/** What a plan has to know of this system. */
import { RESTORE_TAG } from '../../../qubes/names.ts';
import { SparsebakError } from '../../../../shared/errors.ts';
import type { Qubesd, QubeEntry, QubesPool } from '../../../qubes/qubesd.ts';
import { readSettings, surroundings, type Surroundings } from '../../../qubes/read-settings.ts';
import type { Settings } from '../../../qubes/settings.ts';
import { QubesdRefusal } from '../../../qubes/socket.ts';
import type { RestoreRecord, RestoreRecords } from './record.ts';

export interface HostPool extends QubesPool {
  /** Whether its volumes can be restored. */
  readonly usable: boolean;
}

export interface Host {
  readonly qubes: ReadonlyMap<string, QubeEntry>;
  readonly pools: ReadonlyMap<string, HostPool>;
  /** By volume. */
  readonly defaultPools: ReadonlyMap<string, string>;
  readonly labels: ReadonlySet<string>;
  /** Qubes with template_for_dispvms. */
  readonly servesDisposables: ReadonlySet<string>;
  /** By class. */
  readonly properties: ReadonlyMap<string, ReadonlySet<string>>;
  readonly deviceClasses: ReadonlySet<string>;
  readonly release: string | null;
  /** Of the qubes that are replaced. */
  readonly settings: ReadonlyMap<string, Settings>;
  readonly records: ReadonlyMap<string, RestoreRecord>;
  /** Qubes that have the tag of an unfinished restore. */
  readonly tagged: ReadonlySet<string>;
  /** Why a qube that an unfinished restore was creating is not taken for its own. */
  readonly foreign: ReadonlyMap<string, string>;
}

export interface HostRequest {
  readonly documents: readonly Settings[];
  /** Names here that the restore is about. */
  readonly names: readonly string[];
  readonly replaces: boolean;
  readonly records: RestoreRecords;
  /** Templates of disposables, as the user mapped them. */
  readonly templates: readonly string[];
}

const USABLE: ReadonlySet<string> = new Set(['file-reflink', 'lvm_thin']);

/** At most some calls for each thing that is concerned, never one for each property. @throws as calling qubesd */
export async function hostOf(qubesd: Qubesd, request: HostRequest): Promise<Host> {
  const { documents, names, replaces, records } = request;
  const [entries, around, pools, system] = await Promise.all([
    qubesd.qubes(),
    surroundings(qubesd),
    poolsOf(qubesd),
    qubesd.systemProperties(),
  ]);
  const qubes = new Map(entries.map((entry) => [entry.name, entry]));
  const concerned = [...new Set(names)].flatMap((name) => qubes.get(name) ?? []);
  const known = new Map(records.all().map((record) => [record.name, record]));
  const [labels, serving, properties, settings, tagged, foreign] = await Promise.all([
    labelsOf(qubesd, documents),
    servingDisposables(
      qubesd,
      request.templates.filter((name) => qubes.has(name)),
    ),
    propertiesByClass(qubesd, entries, documents),
    replaces ? settingsOf(qubesd, concerned, around) : new Map<string, Settings>(),
    taggedAmong(qubesd, concerned),
    foreignAmong(qubesd, concerned, known),
  ]);
  const standard = system.default_pool?.value ?? '';
  const special = ['private', 'root'].map(
    (volume) => [volume, system[`default_pool_${volume}`]?.value ?? standard] as const,
  );
  return {
    ...{ qubes, pools, labels, properties, settings, tagged, foreign, records: known },
    defaultPools: new Map(special),
    servesDisposables: serving,
    deviceClasses: new Set(around.deviceClasses),
    release: around.release,
  };
}

async function poolsOf(qubesd: Qubesd): Promise<Map<string, HostPool>> {
  const found = await Promise.all((await qubesd.pools()).map((name) => qubesd.pool(name)));
  return new Map(found.map((pool) => [pool.name, { ...pool, usable: USABLE.has(pool.driver) }]));
}

async function labelsOf(qubesd: Qubesd, documents: readonly Settings[]): Promise<Set<string>> {
  const names = [...new Set(documents.map(({ label }) => label.name))];
  const colours = await Promise.all(names.map((name) => qubesd.label(name)));
  return new Set(names.filter((_, at) => colours[at] !== undefined));
}

async function servingDisposables(qubesd: Qubesd, templates: readonly string[]): Promise<Set<string>> {
  const names = [...new Set(templates)];
  const serving = await Promise.all(names.map((name) => isSet(qubesd, name, 'template_for_dispvms')));
  return new Set(names.filter((_, at) => serving[at]));
}

async function isSet(qubesd: Qubesd, qube: string, property: string): Promise<boolean> {
  try {
    return (await qubesd.property(qube, property)).value === 'True';
  } catch (error) {
    if (error instanceof QubesdRefusal) return false;
    throw error;
  }
}

/** The properties of a class are those of any qube of it. */
async function propertiesByClass(
  qubesd: Qubesd,
  entries: readonly QubeEntry[],
  documents: readonly Settings[],
): Promise<Map<string, Set<string>>> {
  const samples = [...new Set(documents.map((each) => each.class))].flatMap(
    (wanted) => entries.find((entry) => entry.class === wanted) ?? [],
  );
  const properties = await Promise.all(samples.map(({ name }) => qubesd.properties(name)));
  return new Map(samples.map((sample, at) => [sample.class, new Set(Object.keys(properties[at] ?? {}))]));
}

async function settingsOf(
  qubesd: Qubesd,
  entries: readonly QubeEntry[],
  around: Surroundings,
): Promise<Map<string, Settings>> {
  const settings = await Promise.all(entries.map((entry) => readSettings(qubesd, entry, around)));
  return new Map(entries.map(({ name }, at) => [name, settings[at]]).filter(isPair));
}

function isPair(pair: (string | Settings | undefined)[]): pair is [string, Settings] {
  return pair[1] !== undefined;
}

async function taggedAmong(qubesd: Qubesd, entries: readonly QubeEntry[]): Promise<Set<string>> {
  const tags = await Promise.all(entries.map(({ name }) => qubesd.tags(name)));
  return new Set(entries.filter((_, at) => tags[at]?.includes(RESTORE_TAG) === true).map(({ name }) => name));
}

/**
 * A restore that was killed after it told qubesd to create a qube, and before it knew the qube's uuid, has no proof
 * that the qube is its own: it takes over only one that nobody can have used yet.
 */
async function foreignAmong(
  qubesd: Qubesd,
  entries: readonly QubeEntry[],
  records: ReadonlyMap<string, RestoreRecord>,
): Promise<Map<string, string>> {
  const reasons = await Promise.all(
    entries.map(async (entry) => {
      const record = records.get(entry.name);
      if (record?.kind !== 'create' || record.phase === 'done') return [];
      const reason = await foreignReason(qubesd, entry, record);
      return reason === undefined ? [] : [[entry.name, reason] as const];
    }),
  );
  return new Map(reasons.flat());
}

async function foreignReason(qubesd: Qubesd, entry: QubeEntry, record: RestoreRecord): Promise<string | undefined> {
  const { name, uuid } = entry;
  if (record.uuid !== null)
    return record.uuid === uuid ? undefined : 'it has another uuid than the qube of that restore';
  if (entry.class !== record.class) return `its class is ${entry.class}, and that restore creates ${record.class}`;
  if (entry.state !== 'Halted') return 'it is running';
  const [properties, volumes] = await Promise.all([qubesd.properties(name), qubesd.volumes(name)]);
  if ((properties.template?.value ?? null) !== record.template) return 'it has another template';
  if (properties.label?.value !== record.label) return 'it has another label';
  const started = properties.start_time?.value;
  if (started !== undefined && started !== null && started !== '') return 'it was started';
  const own = volumes.filter(({ saveOnStop }) => saveOnStop);
  if (own.some(({ name: volume, usage }) => volume === 'private' && usage > 0)) return 'its private volume has data';
  const revisions = await Promise.all(own.map((volume) => qubesd.revisions(name, volume.name)));
  return revisions.some((each) => each.length > 0) ? 'it was started' : undefined;
}

/** @throws `usage` if there is no such pool, or its driver cannot be restored to */
export function checkPool(host: Host, name: string | undefined): void {
  if (name === undefined) return;
  const pool = host.pools.get(name);
  const usable = [...host.pools.values()].filter((each) => each.usable).map((each) => each.name);
  const hint = `Pools that it can: ${usable.join(', ') || 'none'}.`;
  if (pool === undefined) throw new SparsebakError('usage', `Qubes has no pool "${name}"`, { hint });
  if (pool.usable) return;
  const message = `the pool ${name} has the driver "${pool.driver}", and sparsebak cannot restore to it`;
  throw new SparsebakError('usage', message, { hint });
}
