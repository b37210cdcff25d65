/** `qube show`: a qube's settings as they were saved. */
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import { escapeText } from '../../../shared/text.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import { formatTable, print, printJson } from '../../cli/output.ts';
import { withArchive } from '../../cli/with-archive.ts';
import type { Settings } from '../../qubes/settings.ts';
import { QubeArchive, sessionsOf } from './archived.ts';
import { deviceKey, describeProperty } from './differences.ts';

export interface ShowOptions {
  readonly session?: string;
  readonly all?: boolean;
}

export async function show(context: CommandContext, name: string, { session, all }: ShowOptions): Promise<number> {
  return withArchive(context, 'retrieve', async (open) => {
    const archive = await QubeArchive.of(open);
    const qube = archive.qube(name);
    const { session: settingsSession, document } = await archive.settings(qube, session);
    const volumes = [...qube.volumes].map(([volume, part]) => ({
      volume,
      session: archive.sessionAt(part, session) ?? null,
    }));
    const sessions = sessionsOf(qube);
    if (context.json) printJson({ name, session: settingsSession, settings: document, volumes, sessions });
    else print(asText(document, { settingsSession, volumes, count: sessions.length, all: all === true }));
    return 0;
  });
}

interface Shown {
  readonly settingsSession: string;
  readonly volumes: readonly { readonly volume: string; readonly session: string | null }[];
  readonly count: number;
  readonly all: boolean;
}

const LONGEST = 2000;
/** They are in the first lines. */
const IDENTITY: ReadonlySet<string> = new Set(['name', 'uuid', 'klass', 'label', 'template']);
const SERVICE = 'service.';

function asText(document: Settings, { settingsSession, volumes, count, all }: Shown): string {
  const { features, tags, firewall, notes, devices, unavailable } = document;
  const set = Object.entries(document.properties).filter(
    ([name, { default: isDefault }]) => !IDENTITY.has(name) && (all || !isDefault),
  );
  const services = Object.entries(features).filter(([name]) => name.startsWith(SERVICE));
  const others = Object.entries(features).filter(([name]) => !name.startsWith(SERVICE));
  const groups = [
    identity(document, settingsSession, count),
    ['Volumes', ...volumeLines(document, volumes)],
    [all ? 'Properties' : 'Properties that are set', ...set.map(([name, value]) => propertyLine(name, value))],
    ['Services', ...services.map(([name, value]) => `${name.slice(SERVICE.length)}: ${value === '' ? 'off' : 'on'}`)],
    ['Other features', ...others.map(([name, value]) => `${name}: ${JSON.stringify(value)}`)],
    ['Tags', ...tags],
    ['Firewall', ...firewall],
    ['Devices', ...devices.map((device) => `${deviceKey(device)} (${device.fields.mode ?? 'assigned'})`)],
    ['Notes', ...(notes === '' ? [] : notes.trimEnd().split('\n'))],
    ['Not read, since that release did not show it', ...unavailable],
  ];
  return groups
    .filter(([, ...lines]) => lines.length > 0)
    .map(([title = '', ...lines]) => [title, ...lines.map((line) => `  ${escapeText(line, LONGEST)}`)].join('\n'))
    .join('\n\n');
}

function propertyLine(name: string, property: Settings['properties'][string]): string {
  return property.default ? `${name}: ${property.value ?? 'none'} (default)` : `${name}: ${describeProperty(property)}`;
}

function identity(document: Settings, session: string, count: number): string[] {
  const { name, uuid, template, label, release, state } = document;
  return [
    escapeText(`${name}, as saved in ${session}`, LONGEST),
    `class: ${document.class}`,
    ...(template === null ? [] : [`template: ${template}`]),
    `label: ${label.name}${label.colour === null ? '' : ` (${label.colour})`}`,
    `uuid: ${uuid}`,
    `state when it was saved: ${state}`,
    `release: ${release ?? 'not known'}`,
    `sessions: ${count}`,
  ];
}

function volumeLines({ volumes }: Settings, saved: Shown['volumes']): string[] {
  const rows = Object.entries(volumes).map(([name, { pool, size, revisionsToKeep, saved: isSaved }]) => [
    name,
    escapeText(pool, 60),
    isSaved ? formatBytes(size) : '',
    String(revisionsToKeep),
    isSaved ? (saved.find(({ volume }) => volume === name)?.session ?? 'not in the archive') : 'not saved: made anew',
  ]);
  return rows.length === 0
    ? []
    : formatTable(['VOLUME', 'POOL', 'SIZE', 'REVISIONS', 'SESSION'], rows, [2, 3]).split('\n');
}
