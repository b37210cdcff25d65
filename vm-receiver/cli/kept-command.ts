/** Lists, puts back, and removes kept versions of key slots and catalogues that were replaced or removed. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import { formatBytes } from '../../shared/terminal/sizes.ts';
import type { KeptVersion, Store } from '../store/store.ts';
import { confirm, isInteractive } from './confirm.ts';
import { eachArchive } from './each-archive.ts';
import { openStore } from './open-store.ts';
import { chosenArchives, print, table } from './output.ts';
import type { Settings } from './settings.ts';
import { withArchive } from './with-stored-archive.ts';

interface Report extends Omit<KeptVersion, 'slot' | 'time' | 'standing' | 'until'> {
  readonly object: 'catalogue' | 'slot';
  /** The slot's name. */
  readonly slot: string | null;
  /** When it was put. */
  readonly put: string;
  readonly state: KeptVersion['standing'];
  /** When the copy of a replaced or removed slot expires. */
  readonly until: string | null;
}

export async function keptListCommand(settings: Settings, json: boolean): Promise<number> {
  const store = openStore(settings);
  const { reports, status } = await eachArchive(store, settings, (name) =>
    withArchive(store, name, async (archive) => ({ archive: name, kept: archive.kept().map(reportOf) })),
  );
  if (json) await print(`${JSON.stringify({ archives: reports })}\n`);
  else for (const { archive, kept } of reports) await print(describe(archive, kept));
  return status;
}

function reportOf({ number, slot, time, sha256, bytes, standing, until }: KeptVersion): Report {
  return {
    number,
    object: slot === undefined ? 'catalogue' : 'slot',
    slot: slot ?? null,
    put: isoTime(time),
    bytes,
    sha256,
    state: standing,
    until: until === undefined ? null : isoTime(until),
  };
}

function isoTime(milliseconds: number): string {
  return new Date(Math.min(milliseconds, LAST)).toISOString();
}

/** The end of the year 9999. */
const LAST = 253_402_300_799_999;

function describe(archive: ArchiveName, kept: readonly Report[]): string {
  const rows = kept.map(({ number, object, slot, put, bytes, state, until }) => [
    String(number),
    slot === null ? object : `${object} ${slot}`,
    put.slice(0, 19).replace('T', ' '),
    bytes === 0 ? 'no copy' : formatBytes(bytes),
    until === null ? state : `${state}, expires after ${until.slice(0, 10)}`,
  ]);
  if (rows.length === 0) return `${archive}: nothing is kept\n`;
  return `${archive}\n${table(['version', 'of', 'put (UTC)', 'size', 'state'], rows, [0, 3])}`;
}

/** Puts one version back in its place. */
export async function keptRestoreCommand(
  settings: Settings,
  number: number,
  yes: boolean,
  json: boolean,
): Promise<number> {
  const store = openStore(settings);
  const name = theArchive(store, settings);
  mustOwn(settings, name);
  const version = find(await versionsOf(store, name), name, number);
  const what = describeVersion(version);
  const about = `${name}: ${what} replaces the current version, which is kept. ${consequenceOf(version)}`;
  await agree(about, `Put version ${number} back?`, yes);
  const restored = reportOf(await withArchive(store, name, (archive) => archive.putBack(number)));
  if (json) await print(`${JSON.stringify({ archive: name, restored })}\n`);
  else await print(`${name}: ${what} is back in its place\n`);
  return 0;
}

/** The consequence in dom0. */
function consequenceOf({ slot }: KeptVersion): string {
  if (slot !== undefined) return 'Its passphrase or recovery key then opens the archive again.';
  return (
    'A dom0 that knows a later catalogue then reports that the archive was rolled back (exit status 4). It sends ' +
    'nothing until that catalogue is put back, or "sparsebak send --accept-rollback" is run.'
  );
}

/** Removes versions before they expire. */
export async function keptRemoveCommand(
  settings: Settings,
  numbers: readonly number[],
  yes: boolean,
  json: boolean,
): Promise<number> {
  const store = openStore(settings);
  const name = theArchive(store, settings);
  const kept = await versionsOf(store, name);
  const versions = [...new Set(numbers)].map((number) => find(kept, name, number));
  const list = versions.map((version) => `${describeVersion(version)}\n`).join('');
  await agree(`${name}: these can then no longer be put back:\n${list}`, 'Remove them?', yes);
  await withArchive(store, name, async (archive) => {
    for (const { number } of versions) await archive.forget(number);
  });
  if (json) await print(`${JSON.stringify({ archive: name, removed: versions.map(reportOf) })}\n`);
  else await print(`${name}: ${versions.length} removed\n`);
  return 0;
}

function describeVersion({ number, slot, time }: KeptVersion): string {
  const put = isoTime(time).slice(0, 19).replace('T', ' ');
  return `version ${number} (${slot === undefined ? 'the catalogue' : `key slot "${slot}"`} as it was put ${put} UTC)`;
}

/** @throws `usage` if the command line does not select a single archive */
function theArchive(store: Store, settings: Settings): ArchiveName {
  const names = chosenArchives(store, settings);
  const [name] = names;
  if (name !== undefined && names.length === 1) return name;
  throw new SparsebakError(
    'usage',
    names.length === 0 ? 'there is no archive' : `which archive? There are ${names.join(', ')}`,
    {
      hint: 'Choose one with --archive.',
    },
  );
}

async function versionsOf(store: Store, name: ArchiveName): Promise<readonly KeptVersion[]> {
  return await withArchive(store, name, async (archive) => archive.kept());
}

/** @throws `not-found` */
function find(kept: readonly KeptVersion[], name: ArchiveName, number: number): KeptVersion {
  const version = kept.find((each) => each.number === number);
  if (version !== undefined) return version;
  throw new SparsebakError('not-found', `${name} has no version ${number}`, {
    hint: 'See "sparsebak-receiver kept list".',
  });
}

/** @throws `refused` if the restored file would belong to a user other than the one that serves the archive */
function mustOwn({ root }: Settings, name: ArchiveName): void {
  const owner = statSync(join(root, name)).uid;
  if (owner === process.getuid?.()) return;
  throw new SparsebakError('refused', `archive ${name} belongs to another user, who could not read the restored file`, {
    hint: `Run this as that user: sudo -u '#${owner}' sparsebak-receiver …`,
  });
}

/** @throws `usage` without a terminal; `interrupted` if the answer is no */
async function agree(about: string, question: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!isInteractive()) {
    throw new SparsebakError('usage', `${question} There is no terminal to ask on`, {
      hint: 'Give --yes to confirm.',
    });
  }
  process.stderr.write(`${about.trimEnd()}\n`);
  if (!(await confirm(question))) throw new SparsebakError('interrupted', 'nothing was changed');
}
