/** The plan of a restore, as plain data: made from what is in the archive and what is here, before anything changes. */
import type { ErrorReport } from '../../../../shared/errors.ts';
import type { Settings } from '../../../qubes/settings.ts';
import { linkChanges, ownChanges, type Change } from './changes.ts';
import type { Host } from './host.ts';
import { orderOf, type Candidate, type Obstacle } from './order.ts';
import type { RestoreRecord } from './record.ts';
import type { RestoreRequest, SelectedQube } from './request.ts';
import { standingOf } from './standing.ts';
import { wantedOf, type Remark, type Wanted } from './wanted.ts';

export interface PlannedVolume {
  readonly volume: string;
  readonly session: string;
  readonly sizeBytes: number;
  /** Of Qubes. */
  readonly pool: string;
  readonly revisionsToKeep: number;
}

export interface PlannedQube {
  readonly qube: string;
  /** Its name here. */
  readonly name: string;
  readonly action: 'create' | 'continue' | 'replace';
  readonly class: string;
  readonly template: string | null;
  readonly label: string;
  /** Of its settings. */
  readonly session: string;
  /** The newest session of its settings and volumes. */
  readonly asOf: string;
  readonly volumes: readonly PlannedVolume[];
  readonly isCopy: boolean;
  readonly wanted: Wanted;
  /** Of a replace: what changes. */
  readonly changes: readonly Change[];
  readonly remarks: readonly Remark[];
}

export interface LeftQube {
  readonly qube: string;
  readonly error: ErrorReport;
}

export interface RestorePlan {
  readonly qubes: readonly PlannedQube[];
  readonly labels: readonly { readonly name: string; readonly colour: string }[];
  readonly left: readonly LeftQube[];
  /** Templates that must be installed, with the commands. */
  readonly install: readonly { readonly template: string; readonly command: string }[];
  /** For `--all`: those that need no restore. */
  readonly here: readonly string[];
}

export function planOf(selected: readonly SelectedQube[], host: Host, request: RestoreRequest): RestorePlan {
  const left: LeftQube[] = [];
  const here: string[] = [];
  const going: {
    readonly selected: SelectedQube;
    readonly name: string;
    readonly record: RestoreRecord | undefined;
  }[] = [];
  for (const each of selected) {
    const standing = standingOf(each, host, request);
    if (standing.kind === 'here') here.push(each.qube);
    else if (standing.kind === 'left') left.push({ qube: each.qube, error: standing.error });
    else going.push({ selected: each, name: standing.name, record: standing.record });
  }
  const candidates = going.map(({ selected: { qube, settings } }): Candidate => {
    const { template } = settings.document;
    return { qube, document: settings.document, template: template === null ? null : mapped(template, request) };
  });
  const { qubes: ordered, without } = orderOf(
    candidates,
    (name) => host.qubes.has(name),
    (name) => host.servesDisposables.has(name),
  );
  for (const { qube, template, why } of without) left.push({ qube, error: withoutTemplate(qube, template, why) });
  const names = new Map(
    going.filter(({ selected: { qube } }) => ordered.some((each) => each.qube === qube)).map(nameHereOf),
  );
  const labels = new Map<string, string>();
  const qubes = ordered.flatMap(({ qube, template }) => {
    const found = going.find((each) => each.selected.qube === qube);
    if (found === undefined) return [];
    const own = template === null ? null : (names.get(template) ?? template);
    return [planQube({ ...found, template: own }, { host, request, names, labels })];
  });
  const missing = without.filter(
    ({ why, qube }) =>
      why === 'missing' && selected.find((each) => each.qube === qube)?.settings.document.class !== 'DispVM',
  );
  return {
    ...{ qubes, left, here },
    labels: [...labels].map(([name, colour]) => ({ name, colour })),
    install: [...new Set(missing.map(({ template }) => template))].map((template) => ({
      template,
      command: `sudo qvm-template install ${template}`,
    })),
  };
}

function nameHereOf({ selected, name }: { readonly selected: SelectedQube; readonly name: string }): [string, string] {
  return [selected.qube, name];
}

function mapped(template: string, { templates }: RestoreRequest): string {
  return templates.get(template) ?? template;
}

function withoutTemplate(qube: string, template: string, why: Obstacle): ErrorReport {
  const code = 'not-found';
  switch (why) {
    case 'missing':
      return {
        code,
        message: `${qube} needs the template ${template}, which is neither here nor restored`,
        hint: `Install it (sudo qvm-template install ${template}), or use --map-template ${template}=NAME.`,
      };
    case 'loop':
      return {
        code,
        message: `${qube} cannot be created: its template ${template} depends on ${qube} itself`,
        hint: `Use another template with --map-template ${template}=NAME.`,
      };
    case 'left':
      return { code, message: `${qube} needs the template ${template}, which cannot be created either` };
    case 'not for disposables':
      return {
        code,
        message: `${qube} is a disposable, and ${template} is no template for disposables here`,
        hint: `Allow it (qvm-prefs ${template} template_for_dispvms True), or use --map-template ${template}=NAME.`,
      };
  }
}

interface Planning {
  readonly host: Host;
  readonly request: RestoreRequest;
  /** Names here of the qubes of this restore, by their names in the archive. */
  readonly names: ReadonlyMap<string, string>;
  /** Labels to be created. */
  readonly labels: Map<string, string>;
}

function planQube(
  {
    selected,
    name,
    record,
    template,
  }: {
    readonly selected: SelectedQube;
    readonly name: string;
    readonly record: RestoreRecord | undefined;
    readonly template: string | null;
  },
  planning: Planning,
): PlannedQube {
  const { host, request, names } = planning;
  const { document, session } = selected.settings;
  const replaces = request.mode === 'replace';
  const isCopy = !replaces && name !== selected.qube;
  const notes: Remark[] = [];
  const nameHere = (saved: string): string | undefined =>
    names.get(saved) ?? (host.qubes.has(saved) ? saved : undefined);
  const netvmHere = (saved: string): string | undefined => nameHere(request.netvms.get(saved) ?? saved);
  const label = labelOf(document, planning, notes);
  const known = host.properties.get(document.class);
  const { deviceClasses } = host;
  const { wanted, remarks } = wantedOf(document, {
    ...{ name, nameHere, netvmHere, template, label, isCopy, isNew: !replaces, known, deviceClasses },
  });
  if (template !== document.template) {
    notes.push({
      about: 'template',
      message: `${template ?? 'none'} instead of ${document.template ?? 'none'}`,
      needsUser: false,
    });
  }
  if (document.release !== null && host.release !== null && document.release !== host.release) {
    const message = `saved on Qubes ${document.release}, and this is ${host.release}`;
    notes.push({ about: 'release', message, needsUser: false });
  }
  const now = replaces ? host.settings.get(name) : undefined;
  if (now !== undefined && now.uuid !== document.uuid) {
    notes.push({ about: 'uuid', message: `${name} is another qube than the one that was saved`, needsUser: false });
  }
  return {
    ...{ qube: selected.qube, name, class: document.class, template, label, session, isCopy, wanted },
    asOf: [session, ...Object.values(selected.volumes).map((each) => each.session)].sort().at(-1) ?? session,
    action: replaces ? 'replace' : record === undefined ? 'create' : 'continue',
    volumes: Object.entries(selected.volumes).map(([volume, { session: at, sizeBytes }]) => ({
      ...{ volume, session: at, sizeBytes },
      pool: now?.volumes[volume]?.pool ?? record?.volumes[volume]?.pool ?? poolOf(volume, document, planning, notes),
      revisionsToKeep: document.volumes[volume]?.revisionsToKeep ?? 1,
    })),
    changes: now === undefined ? [] : [...ownChanges(wanted, now, isCopy), ...linkChanges(wanted, now)],
    remarks: [...notes, ...remarks],
  };
}

function labelOf({ label }: Settings, { host, labels }: Planning, remarks: Remark[]): string {
  if (host.labels.has(label.name)) return label.name;
  if (label.colour === null) {
    remarks.push({ about: 'label', message: `there is no label "${label.name}" here: red instead`, needsUser: true });
    return 'red';
  }
  labels.set(label.name, label.colour);
  return label.name;
}

function poolOf(volume: string, { volumes }: Settings, { host, request }: Planning, remarks: Remark[]): string {
  if (request.pool !== undefined) return request.pool;
  const saved = volumes[volume]?.pool ?? '';
  if (host.pools.get(saved)?.usable === true) return saved;
  const pool = host.defaultPools.get(volume) ?? '';
  const why = host.pools.has(saved) ? 'has a driver that sparsebak cannot restore to' : 'is not here';
  remarks.push({ about: `volume ${volume}`, message: `the pool ${saved} ${why}: ${pool} instead`, needsUser: false });
  return pool;
}
