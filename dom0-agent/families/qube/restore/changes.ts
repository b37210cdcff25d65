/** The steps from a qube's settings as they are now to those that are wanted. Pure, so that repeating them is safe. */
import type { Settings, SettingsDevice } from '../../../qubes/settings.ts';
import { deviceKey } from '../differences.ts';
import { isOwnFeature, isOwnProperty, isOwnTag, type Wanted } from './wanted.ts';

export type Change =
  | { readonly kind: 'template'; readonly value: string }
  | { readonly kind: 'label'; readonly value: string }
  | { readonly kind: 'set property'; readonly name: string; readonly value: string | null }
  | { readonly kind: 'reset property'; readonly name: string }
  | { readonly kind: 'set feature'; readonly name: string; readonly value: string }
  | { readonly kind: 'remove feature'; readonly name: string }
  | { readonly kind: 'set tag'; readonly tag: string }
  | { readonly kind: 'remove tag'; readonly tag: string }
  | { readonly kind: 'set firewall'; readonly rules: readonly string[] }
  | { readonly kind: 'set notes'; readonly text: string }
  | { readonly kind: 'remove notes' }
  | { readonly kind: 'assign'; readonly device: SettingsDevice }
  | { readonly kind: 'unassign'; readonly device: SettingsDevice };

/** Others depend on these two, so they are set before all else. */
const FIRST = ['template_for_dispvms', 'provides_network'];

/** Changes that need no other qube of the restore. */
export function ownChanges(wanted: Wanted, now: Settings, isCopy: boolean): Change[] {
  const { label, template, properties, features, tags, firewall, notes } = wanted;
  const changes: Change[] = [];
  if (template !== null && now.template !== null && template !== now.template) {
    changes.push({ kind: 'template', value: template });
  }
  if (label !== now.label.name) changes.push({ kind: 'label', value: label });
  changes.push(...sets(properties, now), ...resets(wanted, now, isCopy));
  for (const [name, value] of Object.entries(features)) {
    if (!isLate(name) && now.features[name] !== value) changes.push({ kind: 'set feature', name, value });
  }
  for (const name of Object.keys(now.features)) {
    if (isOwnFeature(name) && features[name] === undefined) changes.push({ kind: 'remove feature', name });
  }
  for (const tag of tags) if (!now.tags.includes(tag)) changes.push({ kind: 'set tag', tag });
  for (const tag of now.tags) if (isOwnTag(tag) && !tags.includes(tag)) changes.push({ kind: 'remove tag', tag });
  if (firewall !== undefined && firewall.join('\n') !== now.firewall.join('\n')) {
    changes.push({ kind: 'set firewall', rules: firewall });
  }
  if (notes !== undefined && notes !== now.notes) {
    changes.push(notes === '' ? { kind: 'remove notes' } : { kind: 'set notes', text: notes });
  }
  return changes;
}

/** Changes that refer to other qubes, which must exist: links, devices, and what starts disposables. */
export function linkChanges(wanted: Wanted, now: Settings): Change[] {
  const assigned = new Map(now.devices.map((device) => [deviceKey(device), device]));
  const kept = new Set(wanted.devices.map(deviceKey));
  return [
    ...sets(wanted.links, now),
    ...now.devices
      .filter((each) => !kept.has(deviceKey(each)) && !wanted.unknownDevices.includes(each.class))
      .map((device): Change => ({ kind: 'unassign', device })),
    ...wanted.devices.flatMap((device): Change[] => {
      const there = assigned.get(deviceKey(device));
      if (there === undefined) return [{ kind: 'assign', device }];
      if (sameFields(there, device)) return [];
      return [
        { kind: 'unassign', device: there },
        { kind: 'assign', device },
      ];
    }),
    ...Object.entries(wanted.features).flatMap(([name, value]): Change[] =>
      isLate(name) && now.features[name] !== value ? [{ kind: 'set feature', name, value }] : [],
    ),
  ];
}

/** qubesd starts disposables at once. */
function isLate(feature: string): boolean {
  return feature === 'preload-dispvm-max';
}

function sameFields({ fields: one }: SettingsDevice, { fields: other }: SettingsDevice): boolean {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...keys].every((key) => one[key] === other[key]);
}

function sets(wanted: Readonly<Record<string, string | null>>, { properties }: Settings): Change[] {
  const names = Object.keys(wanted).sort((a, b) => FIRST.indexOf(b) - FIRST.indexOf(a) || (a < b ? -1 : 1));
  return names.flatMap((name): Change[] => {
    const [value = null, now] = [wanted[name], properties[name]];
    const isSo = now !== undefined && !now.default && now.value === value;
    return isSo ? [] : [{ kind: 'set property', name, value }];
  });
}

function resets({ properties, links }: Wanted, now: Settings, isCopy: boolean): Change[] {
  return Object.entries(now.properties).flatMap(([name, { default: isDefault }]): Change[] => {
    const isWanted = Object.hasOwn(properties, name) || Object.hasOwn(links, name);
    return isDefault || isWanted || !isOwnProperty(name, isCopy) ? [] : [{ kind: 'reset property', name }];
  });
}

/** In words, for plans. */
export function describeChange(change: Change): string {
  switch (change.kind) {
    case 'template':
    case 'label':
      return `${change.kind}: ${change.value}`;
    case 'set property':
      return `${change.name}: ${change.value ?? 'none'}`;
    case 'reset property':
      return `${change.name}: default`;
    case 'set feature':
      return `feature ${change.name}: ${JSON.stringify(change.value)}`;
    case 'remove feature':
      return `feature ${change.name}: removed`;
    case 'set tag':
      return `tag ${change.tag}`;
    case 'remove tag':
      return `tag ${change.tag}: removed`;
    case 'set firewall':
      return `firewall: ${change.rules.length} ${change.rules.length === 1 ? 'rule' : 'rules'}`;
    case 'set notes':
      return 'notes';
    case 'remove notes':
      return 'notes: removed';
    case 'assign':
      return `device ${deviceKey(change.device)}`;
    case 'unassign':
      return `device ${deviceKey(change.device)}: no longer assigned`;
  }
}
