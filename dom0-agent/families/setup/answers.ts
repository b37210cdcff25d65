/** What `setup` needs to know: from options, or asked on a terminal until the answer is usable. */
import { existsSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { isArchiveName } from '../../../shared/archive/names.ts';
import { SparsebakError, asSparsebakError } from '../../../shared/errors.ts';
import { ask } from '../../cli/secrets.ts';
import { print } from '../../cli/output.ts';
import { parseDestination } from '../../link/destination.ts';
import { INCLUDED, isQubePattern } from '../../qubes/patterns.ts';
import { findPools, isQubes, parsePool, type FoundPool } from './find-pools.ts';

export interface Wanted {
  readonly destination?: string;
  readonly archive: string | undefined;
  readonly pool: readonly string[];
  readonly volumes: readonly string[];
  readonly exclude: readonly string[];
  /** In dom0 of Qubes: patterns of the qubes to save. */
  readonly qubes: readonly string[];
  /** Also save dom0's home directory. */
  readonly dom0Home?: boolean;
  /** Ask nothing. */
  readonly yes?: boolean;
}

export interface Answers {
  readonly destination: string;
  readonly archive: string;
  readonly pools: readonly FoundPool[];
  readonly qubes: QubesAnswer | undefined;
  readonly exclude: readonly string[];
}

export interface QubesAnswer {
  readonly include: readonly string[];
  readonly dom0Home: boolean;
}

/** @throws `usage` if an answer is missing and nothing may be asked, or is not usable */
export async function answersOf(wanted: Wanted): Promise<Answers> {
  const asks = wanted.yes !== true && process.stdin.isTTY && process.stderr.isTTY;
  const destination = await answer(asks, {
    given: wanted.destination,
    option: '--destination',
    question: 'Where does the backup go? "local:/folder", "ssh://user@host/folder" or "qubes://VM"',
    fallback: isQubes() ? 'qubes://sparsebak-vault' : undefined,
    check: checkDestination,
  });
  const archive = await answer(asks, {
    given: wanted.archive,
    option: '--archive',
    question: 'A name for the archive',
    fallback: defaultArchive(),
    check: (text) => {
      if (isArchiveName(text)) return;
      throw new SparsebakError('usage', `"${text}" is not a name for an archive`, {
        hint: 'Use 1 to 63 of a-z 0-9 . _ - and begin with a letter or digit.',
      });
    },
  });
  const qubes = isQubes() && wanted.pool.length === 0 ? await qubesOf(asks, wanted) : undefined;
  if (qubes === undefined && (wanted.qubes.length > 0 || wanted.dom0Home === true)) {
    const why = isQubes() ? 'and --pool exclude one another' : 'needs dom0 of Qubes';
    throw new SparsebakError('usage', `--${wanted.qubes.length > 0 ? 'qubes' : 'dom0-home'} ${why}`, {
      hint: isQubes() ? 'Leave --pool out: qubes name their pools themselves.' : 'Use --pool and --volumes.',
    });
  }
  const pools = qubes === undefined ? await poolsOf(asks, wanted) : [];
  return { destination, archive, pools, qubes, exclude: wanted.exclude };
}

async function qubesOf(asks: boolean, { qubes, dom0Home, volumes }: Wanted): Promise<QubesAnswer> {
  if (volumes.length > 0) {
    throw new SparsebakError('usage', '--volumes is for pools, and this is dom0 of Qubes', {
      hint: 'Select qubes with --qubes, or give --pool, too.',
    });
  }
  const patterns = await answer(asks, {
    given: qubes.length > 0 ? qubes.join(' ') : undefined,
    option: '--qubes',
    question: `Which qubes? Names or globs, with spaces between; ${INCLUDED}: those that Qubes' own backup would take`,
    fallback: INCLUDED,
    check: (text) => {
      const wrong = text
        .trim()
        .split(/\s+/)
        .find((each) => !isQubePattern(each));
      if (wrong === undefined) return;
      throw new SparsebakError('usage', `"${wrong}" selects no qube`, { hint: 'Use names of qubes, or globs.' });
    },
  });
  const home = await answer(asks, {
    given: dom0Home === undefined ? undefined : dom0Home ? 'yes' : 'no',
    option: '--dom0-home',
    question: "Also dom0's home directory? yes or no",
    fallback: asks ? 'yes' : 'no',
    check: (text) => {
      if (['yes', 'no'].includes(text)) return;
      throw new SparsebakError('usage', `"${text}" is neither yes nor no`, { hint: 'Answer yes or no.' });
    },
  });
  return { include: patterns.trim().split(/\s+/), dom0Home: home === 'yes' };
}

interface Question {
  readonly given: string | undefined;
  readonly option: string;
  readonly question: string;
  readonly fallback: string | undefined;
  /** @throws for an answer that is not usable */
  readonly check: (text: string) => void;
}

async function answer(asks: boolean, { given, option, question, fallback, check }: Question): Promise<string> {
  if (given !== undefined) {
    check(given);
    return given;
  }
  if (!asks) {
    if (fallback !== undefined) return fallback;
    throw new SparsebakError('usage', `${option} is missing`, {
      hint: 'Give it, or run "sparsebak setup" on a terminal.',
    });
  }
  for (;;) {
    const typed = (await ask(`${question}${fallback === undefined ? '' : ` [${fallback}]`}`)).trim();
    const text = typed === '' ? fallback : typed;
    if (text === undefined) continue;
    try {
      check(text);
      return text;
    } catch (caught) {
      const { message, hint = '' } = asSparsebakError(caught);
      print(`${message}\n  → ${hint}`, 2);
    }
  }
}

function checkDestination(text: string): void {
  const destination = parseDestination(text);
  if (destination.kind !== 'local') return;
  if (statSync(destination.root, { throwIfNoEntry: false })?.isDirectory() === true) return;
  throw new SparsebakError('usage', `there is no folder ${destination.root}`, {
    hint: `Mount the backup disk there, or create the folder: mkdir -p ${destination.root}`,
  });
}

function defaultArchive(): string {
  const name = hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63);
  return isArchiveName(name) ? name : 'backup';
}

async function poolsOf(asks: boolean, { pool, volumes }: Wanted): Promise<FoundPool[]> {
  const found = pool.length > 0 ? pool.map(parsePool) : await findPools();
  if (found.length === 0) {
    throw new SparsebakError('usage', 'no pool of volumes was found on this computer', {
      hint: 'Give --pool, for example --pool reflink:/srv/images or --pool lvm-thin:VG/POOL.',
    });
  }
  const chosen = asks && pool.length === 0 ? await choosePools(found) : found;
  const withVolumes: FoundPool[] = [];
  for (const each of chosen) {
    const patterns = await answer(asks, {
      given: volumes.length > 0 ? volumes.join(' ') : undefined,
      option: '--volumes',
      question: `Which volumes of ${each.about}? Names or globs, with spaces between`,
      fallback: each.volumes.join(' '),
      check: () => undefined,
    });
    withVolumes.push({ ...each, volumes: volumes.length > 0 ? volumes : patterns.split(/\s+/) });
  }
  return withVolumes;
}

async function choosePools(found: readonly FoundPool[]): Promise<readonly FoundPool[]> {
  print(['Found on this computer:', ...found.map(({ about }, i) => `  ${i + 1}  ${about}`)].join('\n'), 2);
  if (found.length === 1) return found;
  for (;;) {
    const text = (await ask('Which of them? Numbers, with spaces between [all]')).trim();
    if (text === '') return found;
    const chosen = text.split(/[\s,]+/).map((number) => found[Number(number) - 1]);
    if (chosen.every((each) => each !== undefined)) return chosen;
    print(`Answer with numbers from 1 to ${found.length}.`, 2);
  }
}

/** Whether a file is there. @param path absolute */
export function isThere(path: string): boolean {
  return existsSync(path);
}
