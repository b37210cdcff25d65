/**
 * Finds the volumes in a pool's folder. A match that is not a volume is reported with the reason; only sparsebak's own
 * files, and those that Qubes keeps beside its volumes, are ignored.
 */
import { folderMatcher, isLiteral, nameMatcher, type NameMatcher } from './glob.ts';
import type { OpenPool } from './open-pool.ts';
import { isNameInPool, isOwnFile, type Judgement } from './pool-folder.ts';
import { walkPool, type Walked } from './pool-walk.ts';
import { qubesImage } from './qubes-images.ts';
import { sharedImages, type Ownership } from './shared-images.ts';
import type { FoundVolumes, LeftOut } from './source.ts';

export interface Listing {
  readonly pool: OpenPool;
  readonly patterns: readonly string[];
  readonly excludes: readonly string[];
  /** Judges what a matching name is. */
  readonly judge: (name: string) => Promise<Judgement>;
}

/** A folder is read only if a pattern asks for it. */
export async function listVolumes({ pool, patterns, excludes, judge }: Listing): Promise<FoundVolumes> {
  const isExcluded = nameMatcher(excludes, []);
  const literals = new Set(patterns.filter((pattern) => isLiteral(pattern) && !isExcluded(pattern)));
  const named = [...literals].filter(isNameInPool);
  const leftOut: LeftOut[] = [...literals]
    .filter((name) => !isNameInPool(name))
    .map((name) => ({ name, reason: 'it is not the path of a volume within the pool' }));
  const found = new Set<string>();
  const globs = patterns.filter((pattern) => !isLiteral(pattern));
  if (globs.length > 0) {
    const walked = await walkFor(pool, globs);
    const matches = nameMatcher(globs, excludes);
    for (const volume of volumesIn(walked)) if (matches(volume)) found.add(volume);
    leftOut.push(...obstaclesIn(walked, globs, excludes), ...foldersIn(walked, { globs, patterns, excludes }));
  }
  const candidates = new Set([...named, ...found]);
  const shared = await sharedImages(pool, candidates);
  const judged = await Promise.all(
    [...candidates].map(async (name) => {
      const other = otherOwner(shared.get(name), literals.has(name));
      return { name, judgement: other ?? (await judge(name)) };
    }),
  );
  for (const { name, judgement } of judged) {
    if (judgement.kind === 'left out') leftOut.push({ name, reason: judgement.reason });
  }
  const volumes = judged.filter(({ judgement }) => judgement.kind === 'volume').map(({ name }) => name);
  return { volumes: volumes.sort(), leftOut: onlyOnce(leftOut, new Set(volumes)) };
}

/**
 * Enters folders in which a pattern can match something, and matched folders: files in them that no pattern matches
 * must be reported.
 */
async function walkFor(pool: OpenPool, globs: readonly string[]): Promise<Walked> {
  const leadsOn = folderMatcher(globs);
  const matches = nameMatcher(globs, []);
  const entered: string[] = [];
  return await walkPool(pool, (name) => {
    if (matches(name)) entered.push(`${name}/`);
    return leadsOn(name) || matches(name) || entered.some((above) => name.startsWith(above));
  });
}

function* volumesIn({ names }: Walked): Generator<string> {
  const all = new Set(names);
  for (const name of all) {
    const image = qubesImage(name);
    if (image === undefined) {
      if (!isOwnFile(name, all)) yield name;
    } else if (image.role !== 'working') yield image.volume;
  }
}

function obstaclesIn({ obstacles }: Walked, globs: readonly string[], excludes: readonly string[]): LeftOut[] {
  const matches = nameMatcher(globs, []);
  const leadsOn = folderMatcher(globs);
  const isExcluded = nameMatcher(excludes, []);
  return obstacles
    .filter(({ name, isFolder }) => matches(name) || (isFolder && leadsOn(name)))
    .filter(({ name, shown }) => !isExcluded(name) && !isExcluded(shown))
    .map(({ shown, reason }) => ({ name: shown, reason }));
}

interface Patterns {
  readonly globs: readonly string[];
  /** Globs and names. */
  readonly patterns: readonly string[];
  readonly excludes: readonly string[];
}

/** Folders that a pattern matches and that contain something that neither a pattern nor an exclude matches. */
function foldersIn({ folders, names }: Walked, { globs, patterns, excludes }: Patterns): LeftOut[] {
  const matches = nameMatcher(globs, excludes);
  const matched = folders.filter(({ name }) => matches(name));
  if (matched.length === 0) return [];
  const isSpokenOf = nameMatcher([...patterns, ...excludes], []);
  const isForgotten: NameMatcher = (name) => !isSpokenOf(name);
  return matched
    .filter(({ name }) => names.some((each) => each.startsWith(`${name}/`) && isForgotten(each)))
    .map(({ name, shown }) => ({
      name: shown,
      reason:
        'it is a folder, and what is in it needs a pattern of its own ' +
        `("${name}/*" or "${name}/**"), or an exclude`,
    }));
}

/** undefined if it is the volume's own file, as far as is known. */
function otherOwner(ownership: Ownership | undefined, isNamed: boolean): Judgement | undefined {
  if (ownership === undefined || ownership.kind === 'own') return undefined;
  if (ownership.kind === 'borrowed') {
    if (!isNamed) return { kind: 'missing' };
    const owner = ownership.from ?? 'a template';
    return {
      kind: 'left out',
      reason: `it is a hard link to the image of ${owner}, which Qubes makes while a qube is running`,
    };
  }
  // A name that is given in full is accepted: its author knows to which qube it belongs.
  if (isNamed) return undefined;
  const others = ownership.with.join(', ');
  return {
    kind: 'left out',
    reason:
      'it is one file with ' +
      `${others === '' ? 'another' : others}, and its qube is running: give its name in full if it is a volume`,
  };
}

function onlyOnce(leftOut: readonly LeftOut[], volumes: ReadonlySet<string>): LeftOut[] {
  const byName = new Map(leftOut.map((each) => [each.name, each]));
  return [...byName.values()].filter(({ name }) => !volumes.has(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
}
