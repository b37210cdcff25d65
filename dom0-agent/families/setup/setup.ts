/**
 * `setup`: from nothing to a proven restore. The dialogue writes a configuration; everything else is done by the
 * commands that the user could type, each shown before it runs. Steps that were done before are left out, so it can be
 * interrupted and started again.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT_STATUS, SparsebakError, asSparsebakError } from '../../../shared/errors.ts';
import { escapeText } from '../../../shared/text.ts';
import { formatBytes } from '../../../shared/terminal/sizes.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import { confirm } from '../../cli/confirm.ts';
import { print } from '../../cli/output.ts';
import { givenPath } from '../../cli/working-folder.ts';
import { DEFAULT_CONFIG, chooseArchive, readConfig, type Config } from '../../config/config.ts';
import { runProgram } from '../../process/run-program.ts';
import { runSparsebak } from '../../process/run-sparsebak.ts';
import { ArchiveState } from '../../proven-archive/archive-state.ts';
import { KnownHeads } from '../../proven-archive/known-heads.ts';
import { Pin } from '../../proven-archive/pin.ts';
import { readProofs } from '../../proven-archive/proofs.ts';
import { DOM0_HOME, parseArchiveName, SETTINGS } from '../../qubes/names.ts';
import { TIMERS } from '../../runs/timers.ts';
import { answersOf, isThere, type Wanted } from './answers.ts';
import { scratchFolder } from './scratch-folder.ts';
import { configText, mayWrite, writeNewConfig } from './write-config.ts';

export interface SetupOptions extends Omit<Wanted, 'archive'> {
  readonly passphraseFile?: string;
  readonly passphraseCommand?: string;
  readonly recoveryKeyFile?: string;
  readonly scratch?: string;
  readonly timers?: string;
  readonly dryRun?: boolean;
}

/** Options that only a new configuration uses. */
const ANSWERS = ['destination', 'pool', 'volumes', 'exclude', 'qubes'] as const;

export async function setup(context: CommandContext, options: SetupOptions): Promise<number> {
  if (context.json) throw new SparsebakError('usage', 'setup has no --json', { hint: 'Use init, send and restore.' });
  if (options.timers !== undefined && !['yes', 'no'].includes(options.timers)) {
    throw new SparsebakError('usage', `--timers ${options.timers}: answer yes or no`, { hint: 'Use --timers yes.' });
  }
  const file = givenPath(context.options.config ?? DEFAULT_CONFIG);
  if (!(await configure(context, options, file))) return 0;
  const config = readConfig(file);
  const run = (...args: string[]) => step(context, file, args);
  const { name } = chooseArchive(config, context.options.archive);
  if (needsInit(config, name)) await must(run('init', ...initOptions(options)));
  const sent = await run('send', '--full');
  if (sent !== 0 && sent !== EXIT_STATUS.partial) throw stopped('send', sent);
  // Also tells the sizes of what was sent.
  await run('list');
  await proveOne(ArchiveState.open(config.stateDir, name), options, run);
  await timers(context.signal, options);
  print('\nDone. "sparsebak doctor" shows at any time whether all is well.');
  return sent;
}

/** @returns whether to go on: false for a dry run */
async function configure(context: CommandContext, options: SetupOptions, file: string): Promise<boolean> {
  if (isThere(file)) {
    print(`Using the configuration ${file}.`);
    readConfig(file);
    const unused = ANSWERS.filter((name) => (options[name] ?? []).length > 0).map((name) => `--${name}`);
    if (unused.length > 0)
      print(`  → ${unused.join(', ')}: not used, since it exists. To change it, edit the file.`, 2);
    return options.dryRun !== true;
  }
  if (options.dryRun !== true) mayWrite(file);
  const answers = await answersOf({ ...options, archive: context.options.archive });
  const text = configText(answers);
  refuseInvalid(text, file);
  print(`\n${file}:\n\n${text.trimEnd().replaceAll(/^/gm, '    ')}\n`);
  if (options.dryRun === true) return false;
  await confirm('', 'Write this configuration?', options.yes === true);
  writeNewConfig(file, text);
  return true;
}

/** Before it is written: a file that is there counts as the user's own. */
function refuseInvalid(text: string, file: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'sparsebak-setup-'));
  try {
    const draft = join(folder, 'sparsebak.toml');
    writeFileSync(draft, text, { mode: 0o600 });
    readConfig(draft);
  } catch (error) {
    if (!(error instanceof SparsebakError)) throw error;
    throw new SparsebakError(error.code, error.message.replaceAll(join(folder, 'sparsebak.toml'), file), {
      hint: 'Correct the answer that this field comes from.',
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function needsInit({ stateDir }: Config, name: Parameters<typeof ArchiveState.exists>[1]): boolean {
  return !ArchiveState.exists(stateDir, name) || ArchiveState.open(stateDir, name).settings.creating;
}

function initOptions({ passphraseFile, passphraseCommand, recoveryKeyFile }: SetupOptions): string[] {
  return [
    ...(passphraseFile === undefined ? [] : ['--passphrase-file', passphraseFile]),
    ...(passphraseCommand === undefined ? [] : ['--passphrase-command', passphraseCommand]),
    ...(recoveryKeyFile === undefined ? [] : ['--recovery-key-file', recoveryKeyFile]),
  ];
}

type RunStep = (...args: string[]) => Promise<number>;

async function step({ signal, options }: CommandContext, file: string, args: readonly string[]): Promise<number> {
  const globals = [
    ...(options.config === undefined ? [] : ['--config', file]),
    ...(options.archive === undefined ? [] : ['--archive', options.archive]),
  ];
  print(`\n$ sparsebak ${[...globals, ...args].map(shown).join(' ')}`);
  const core = join(dirname(fileURLToPath(import.meta.url)), 'sparsebak.js');
  return await runSparsebak(core, [...globals, ...args], signal);
}

function shown(arg: string): string {
  return /^[\w./:=-]+$/.test(arg) ? arg : `'${escapeText(arg, 4096).replaceAll("'", "'\\''")}'`;
}

async function must(run: Promise<number>): Promise<void> {
  const status = await run;
  if (status !== 0) throw stopped('init', status);
}

function stopped(command: string, status: number): SparsebakError {
  return new SparsebakError('failed', `setup stops here: ${command} ended with status ${status}`, {
    hint: 'Correct what it says above, and run "sparsebak setup" again: it goes on where it stopped.',
  });
}

/** Restores the smallest volume to a file, each of its chunks proven, and removes the file. */
async function proveOne(state: ArchiveState, { scratch = '/var/tmp' }: SetupOptions, run: RunStep): Promise<void> {
  const heads = new KnownHeads(state);
  const volumes = (new Pin(state).current?.catalogue.volumes ?? []).flatMap(({ id, name, session, state: is }) =>
    is === 'active' && session !== null ? [{ id, name, size: heads.get(id, session)?.size ?? Infinity }] : [],
  );
  // A disk image shows more than a qube's settings, or dom0's home.
  const isImage = ({ name }: { readonly name: string }): boolean =>
    name !== DOM0_HOME && parseArchiveName(name)?.volume !== SETTINGS;
  const [smallest] = volumes.sort((a, b) => Number(isImage(b)) - Number(isImage(a)) || a.size - b.size);
  if (smallest === undefined) {
    throw new SparsebakError('failed', 'no volume was sent, so no restore can be tried', {
      hint: 'See what "send" says above, correct it, and run "sparsebak setup" again.',
    });
  }
  if (readProofs(state.folder)[smallest.id]?.whole !== undefined) return;
  const folder = scratchFolder(givenPath(scratch));
  try {
    const status = await run('restore', smallest.name, '--to', join(folder, 'restored.img'));
    if (status !== 0) throw stopped('restore', status);
    const name = escapeText(smallest.name, 4096);
    const size = smallest.size === Infinity ? '' : ` (${formatBytes(smallest.size)})`;
    print(`The restore of ${name}${size} is proven: each chunk is what was sent. The copy is removed.`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function timers(signal: AbortSignal, options: SetupOptions): Promise<void> {
  const asks = options.timers === undefined && options.yes !== true && process.stdin.isTTY && process.stderr.isTTY;
  if (options.timers === 'no' || (options.timers === undefined && !asks)) return;
  if (asks) {
    try {
      await confirm('', `Turn on the timers (${TIMERS.join(', ')})?`, false);
    } catch (error) {
      if (error instanceof SparsebakError && error.code === 'interrupted' && !signal.aborted) return;
      throw error;
    }
  }
  try {
    await runProgram('systemctl', ['enable', '--now', ...TIMERS]);
  } catch (caught) {
    throw new SparsebakError('failed', `the timers could not be turned on: ${asSparsebakError(caught).message}`, {
      hint: 'The backup works. The timers need systemd and the package; else start "sparsebak send" by other means.',
    });
  }
  print(`On: ${TIMERS.join(', ')}.`);
}
