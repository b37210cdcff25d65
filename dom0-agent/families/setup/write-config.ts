/** The configuration that `setup` writes. */
import { accessSync, chmodSync, constants, existsSync, linkSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { SparsebakError, systemCode } from '../../../shared/errors.ts';
import { syncFolder } from '../../../shared/durable.ts';
import { isInPath } from '../../../shared/search-path.ts';
import type { Answers, QubesAnswer } from './answers.ts';
import type { FoundPool } from './find-pools.ts';

/** Two weeks of days, two months of weeks, a year of months. */
const RETENTION = ['[retention]', 'keep_daily   = 14', 'keep_weekly  = 8', 'keep_monthly = 12'];

export function configText({ destination, archive, pools, qubes, exclude }: Answers): string {
  const names = new Map<string, number>();
  return [
    '# Written by "sparsebak setup". All fields: sparsebak config example',
    `destination = ${quoted(destination)}`,
    `archive     = ${quoted(archive)}`,
    '# New volumes are sent without asking.',
    'initial     = "full"',
    ...(qubes === undefined ? [] : ['', ...qubesLines(qubes, exclude)]),
    ...pools.flatMap((pool) => ['', ...poolLines({ ...pool, name: unique(pool.name, names) }, exclude)]),
    '',
    ...RETENTION,
    '',
    '[notify]',
    'on      = "overdue"',
    ...(isInPath('notify-send') ? ['desktop = true'] : []),
    '',
  ].join('\n');
}

function unique(name: string, taken: Map<string, number>): string {
  const count = (taken.get(name) ?? 0) + 1;
  taken.set(name, count);
  return count === 1 ? name : `${name}-${count}`;
}

function qubesLines({ include, dom0Home }: QubesAnswer, exclude: readonly string[]): string[] {
  return [
    '[qubes]',
    `include   = [${include.map(quoted).join(', ')}]`,
    ...(exclude.length === 0 ? [] : [`exclude   = [${exclude.map(quoted).join(', ')}]`]),
    `dom0_home = ${dom0Home}`,
  ];
}

function poolLines(pool: FoundPool, exclude: readonly string[]): string[] {
  const where =
    pool.type === 'lvm-thin'
      ? [`vgname   = ${quoted(pool.vgname)}`, `poolname = ${quoted(pool.poolname)}`]
      : [`path    = ${quoted(pool.path)}`];
  return [
    `[pool.${/^[A-Za-z0-9_-]+$/.test(pool.name) ? pool.name : quoted(pool.name)}]`,
    `type    = ${quoted(pool.type)}`,
    ...where,
    `volumes = [${pool.volumes.map(quoted).join(', ')}]`,
    ...(exclude.length === 0 ? [] : [`exclude = [${exclude.map(quoted).join(', ')}]`]),
  ];
}

/** A basic string of TOML: JSON's is one, but for DEL. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007f');
}

/** @throws `usage` if this user cannot make the file */
export function mayWrite(file: string): void {
  let folder = dirname(file);
  while (!existsSync(folder) && folder !== '/') folder = dirname(folder);
  try {
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (caught) {
    throw new SparsebakError('usage', `this user may not write ${file}`, {
      hint: 'Run it as root: sudo sparsebak setup. Or name another file: sparsebak --config FILE setup.',
      cause: caught,
    });
  }
}

/** A new file, complete or not there, which only its owner may read. @throws `failed` if there is one already */
export function writeNewConfig(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const draft = `${path}.${process.pid}.new`;
  try {
    writeFileSync(draft, text, { flag: 'wx', mode: 0o600, flush: true });
    chmodSync(draft, 0o600);
    linkSync(draft, path);
    syncFolder(dirname(path));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    throw new SparsebakError('failed', `${path} exists already`, { hint: 'Run "sparsebak setup" again to use it.' });
  } finally {
    rmSync(draft, { force: true });
  }
}
