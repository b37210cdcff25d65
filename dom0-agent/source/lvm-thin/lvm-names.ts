/** Names of LVM: which are volumes, which are sparsebak's own, and their device-mapper form. */
import { isLiteral, nameMatcher } from '../glob.ts';
import type { RunningState } from '../source.ts';

const LV_NAME = /^[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,126}$/;
const OWN_NAME = /^vm-sparsebak-([0-9a-f]{32})$/;
const OWN_TAG = /^sparsebak\.(stopped|running)=(.+)$/;
const NEW_NAME = /^vm-sparsebak-new-([0-9a-f]{32})$/;
const NEW_TAG = /^sparsebak\.(restoring|restored)=(.+)$/;

/** Whether it can be the name of a logical volume (or a volume group). Only such names are ever passed to a command. */
export function isLvName(name: string): boolean {
  return LV_NAME.test(name) && name !== '.' && name !== '..';
}

/**
 * A snapshot's name. The udev rules of Qubes ignore `vm-…`: no scan for file systems, no links. The name's end is not
 * one that Qubes takes for a revision or a working copy of a volume.
 */
export function snapshotName(id: string): string {
  return `vm-sparsebak-${id}`;
}

export function snapshotId(name: string): string | undefined {
  return OWN_NAME.exec(name)?.[1];
}

export function snapshotTag(volume: string, state: RunningState): string {
  return `sparsebak.${state}=${volume}`;
}

export function stateOfTags(tags: readonly string[]): RunningState | undefined {
  const found = tags.map((tag) => OWN_TAG.exec(tag)?.[1]).find((state) => state !== undefined);
  return found as RunningState | undefined;
}

/** Whether it is a snapshot of sparsebak's, or a volume that is being restored. */
export function isOwnName(name: string): boolean {
  return OWN_NAME.test(name) || NEW_NAME.test(name);
}

/** A volume's name while it is restored. */
export function newName(id: string): string {
  return `vm-sparsebak-new-${id}`;
}

export function newId(name: string): string | undefined {
  return NEW_NAME.exec(name)?.[1];
}

/** The stage of a restored volume: `restored` has all its content and only needs its name. */
export type RestoreStage = 'restoring' | 'restored';

export function newTag(stage: RestoreStage, name: string): string {
  return `sparsebak.${stage}=${name}`;
}

export function restoreOfTags(tags: readonly string[]): { stage: RestoreStage; name: string } | undefined {
  for (const tag of tags) {
    const [, stage, name] = NEW_TAG.exec(tag) ?? [];
    if (stage !== undefined && name !== undefined) return { stage: stage as RestoreStage, name };
  }
  return undefined;
}

/** The name of a replaced volume. Qubes must not take it for a revision, which it would remove some day. */
export function replacedName(volume: string, seconds: number): string {
  return `${volume}-replaced-${seconds}`;
}

/** The name of a volume that is complete and will take the place of another. */
export function stagedName(volume: string, seconds: number): string {
  return `${volume}-restored-${seconds}`;
}

/** The name below /dev/mapper: a hyphen within a name is doubled. */
export function deviceName(group: string, volume: string, layer = ''): string {
  return `${group.replaceAll('-', '--')}-${volume.replaceAll('-', '--')}${layer}`;
}

/**
 * Volumes that Qubes keeps beside a volume: for a running qube's writes, an import, earlier states, and swap. They
 * appear, disappear and are renamed while qubes start and stop, so only their full names select them. Other names are
 * not Qubes': an administrator's `web-snap` is a volume like any other.
 */
const QUBES_COPY = /^vm-.+-(?:volatile|(?:private|root|volatile)-(?:snap|import|\d+-back))$/;
const QUBES_VOLUME = /^vm-.+-(?:private|root)$/;
/** Volumes that a restore has replaced, or has ready to take the place of another. */
const REPLACED = /^(.+)-(?:replaced|restored)-\d+$/;

function isWorkingCopy(name: string, all: ReadonlySet<string>): boolean {
  const [, replaced = ''] = REPLACED.exec(name) ?? [];
  // When a qube stops, its volume is missing for a moment while its copies exist.
  return QUBES_COPY.test(name) || all.has(replaced) || isQubesVolume(replaced);
}

export function isQubesVolume(name: string): boolean {
  return QUBES_VOLUME.test(name);
}

/** The volume that a running qube writes to; undefined for a volume that is not Qubes'. */
export function runningName(volume: string): string | undefined {
  return isQubesVolume(volume) ? `${volume}-snap` : undefined;
}

/** The volume with which Qubes will replace this one. */
export function importName(volume: string): string {
  return `${volume}-import`;
}

/** The selected names, sorted; never our own. */
export function selectNames(
  all: readonly string[],
  patterns: readonly string[],
  excludes: readonly string[],
): string[] {
  const literal = new Set(patterns);
  const matches = nameMatcher(
    patterns.filter((pattern) => !isLiteral(pattern)),
    [],
  );
  const excluded = nameMatcher(excludes, []);
  const present = new Set(all);
  const isMeant = (name: string): boolean =>
    !isOwnName(name) && !excluded(name) && (literal.has(name) || (matches(name) && !isWorkingCopy(name, present)));
  return all.filter(isMeant).sort();
}
