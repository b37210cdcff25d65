// Packages that the tests make, with `.ci/package.mjs` as `npm run package` runs it.

import { execFile, spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const top = join(import.meta.dirname, '../..');

/** The release, as package.json has it; and one before it, for upgrades. */
export const OLDER = '0.0.9';

/** The same date in every build, which in a checkout is that of the commit. */
export const DATE = 1_780_000_000;

const NEEDED = ['rpmbuild', 'dpkg-deb', 'xz'];

/** The value for node:test's `skip`: false, or why no packages can be made here. */
export function buildSkip(...more: string[]): string | false {
  const missing = [...NEEDED, ...more].filter((name) => spawnSync(name, ['--version']).error !== undefined);
  return missing.length === 0 ? false : `machine: no ${missing.join(', ')}`;
}

export interface Built {
  readonly folder: string;
  readonly files: readonly string[];
  /** The path of the only file with this beginning and end. */
  readonly find: (begin: string, end: string) => string;
}

/** Makes packages in a folder of their own. */
export async function buildPackages(
  folder: string,
  args: readonly string[] = [],
  { checkout = top, env = {} }: { checkout?: string; env?: Record<string, string> } = {},
): Promise<Built> {
  mkdirSync(folder, { recursive: true });
  await promisify(execFile)(process.execPath, ['.ci/package.mjs', `--out=${folder}`, ...args], {
    cwd: checkout,
    env: { ...process.env, SOURCE_DATE_EPOCH: String(DATE), ...env },
  });
  const files = readdirSync(folder).sort();
  const find = (begin: string, end: string): string => {
    const found = files.filter((name) => name.startsWith(begin) && /^[-_]\d/.test(name.slice(begin.length)));
    const [name, ...others] = found.filter((each) => each.endsWith(end));
    if (name === undefined || others.length > 0) throw new Error(`no single ${begin}…${end} in ${files.join(' ')}`);
    return join(folder, name);
  };
  return { folder, files, find };
}

/** A copy of the sources and of what the build made, in another folder and without git. Returns the folder. */
export function copyCheckout(folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(top)) {
    if (['.git', 'node_modules', 'test'].includes(name)) continue;
    const filter = (path: string) => !path.includes('/dist/packages');
    cpSync(join(top, name), join(folder, name), { recursive: true, filter });
  }
  symlinkSync(join(top, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** A checkout of the release before: its files in /etc differ, or no package manager would ask what to do with them. */
export function olderCheckout(folder: string): string {
  copyCheckout(folder);
  for (const path of ['policy.d/30-sparsebak.policy', 'rpc-config/sparsebak.Receive']) {
    appendFileSync(join(folder, 'qubes-rpc', path), '# As the release before had it.\n');
  }
  return folder;
}
