/** `doctor`: everything that the receiver needs, with the remedy for what is missing. No file of an archive is read. */
import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';
import { bytesShort } from '../../shared/archive/low-space.ts';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { EXIT_STATUS, SparsebakError, asSparsebakError } from '../../shared/errors.ts';
import { describeFindings, failedBy, isHealthy, type Finding } from '../../shared/findings.ts';
import { RELEASE } from '../../shared/release.ts';
import { isExecutable, isInPath } from '../../shared/search-path.ts';
import { formatBytes } from '../../shared/terminal/sizes.ts';
import type { Store } from '../store/store.ts';
import { openStore } from './open-store.ts';
import { updateMetrics } from './metrics.ts';
import { chosenArchives, print } from './output.ts';
import { scrubState } from './scrub-state.ts';
import type { Settings } from './settings.ts';
import { withArchive } from './with-stored-archive.ts';

/** The oldest Node that the receiver runs on. */
const OLDEST_NODE = 20;
/** Each program with its package. */
const PROGRAMS = { flock: 'util-linux', sync: 'coreutils' };

/** @param settings of the configuration, or why it is not valid */
export async function doctorCommand(settings: Settings | SparsebakError, json: boolean): Promise<number> {
  const findings = [checkNode(), checkPrograms(), ...checkServices()];
  if (settings instanceof SparsebakError) findings.push(failedBy('configuration', settings));
  else findings.push(...(await checkRoot(settings)));
  const healthy = isHealthy(findings);
  await print(`${json ? JSON.stringify({ healthy, findings }) : describeFindings(findings)}\n`);
  return healthy ? 0 : EXIT_STATUS.partial;
}

function checkNode(): Finding {
  const { node } = process.versions;
  const message = `${node} (${process.execPath}), sparsebak-receiver ${RELEASE}`;
  if (Number(node.split('.')[0]) >= OLDEST_NODE) return { check: 'node', verdict: 'ok', message };
  const hint = 'Install a newer Node, or sparsebak-node.';
  return { check: 'node', verdict: 'failed', message: `${message}: older than ${OLDEST_NODE}`, hint };
}

function checkPrograms(): Finding {
  const missing = Object.entries(PROGRAMS).filter(([program]) => !isInPath(program));
  if (missing.length === 0) return { check: 'programs', verdict: 'ok', message: Object.keys(PROGRAMS).join(', ') };
  return {
    check: 'programs',
    verdict: 'failed',
    message: `not in the PATH: ${missing.map(([program]) => program).join(', ')}`,
    hint: `Install ${missing.map(([, from]) => from).join(' and ')}.`,
  };
}

/** The services of qrexec, in a qube only. */
const SERVICES = ['sparsebak.Receive', 'sparsebak.Retrieve', 'sparsebak.Maintain'];
const SERVICE_FOLDERS = ['/usr/local/etc/qubes-rpc', '/etc/qubes-rpc'];

function checkServices(): Finding[] {
  if (!existsSync('/usr/share/qubes/marker-vm')) return [];
  const missing = SERVICES.filter((service) => !SERVICE_FOLDERS.some((folder) => isExecutable(join(folder, service))));
  if (missing.length === 0) return [{ check: 'services', verdict: 'ok', message: SERVICES.join(', ') }];
  return [
    {
      check: 'services',
      verdict: 'failed',
      message: `not installed, or not executable: ${missing.join(', ')}`,
      hint: 'Install the package sparsebak-vm, or run qubes-rpc/install/vm.sh.',
    },
  ];
}

async function checkRoot(settings: Settings): Promise<Finding[]> {
  const findings: Finding[] = [];
  let store: Store;
  let names: readonly ArchiveName[];
  try {
    store = openStore(settings);
    // Also finds that nothing is mounted.
    const there = store.archives();
    names = chosenArchives(store, settings).filter((name) => there.includes(name));
    findings.push(...diskFindings(settings));
  } catch (caught) {
    return [failedBy('backup disk', asSparsebakError(caught))];
  }
  if (names.length === 0)
    findings.push({ check: 'archives', verdict: 'note', message: `none in ${settings.root} yet` });
  for (const name of names) findings.push(...(await checkArchive(store, name, settings)));
  await updateMetrics(store, settings);
  return findings;
}

function diskFindings({ root, requireMount }: Settings): Finding[] {
  const check = 'backup disk';
  try {
    accessSync(root, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    const hint = `Give the folder to the user that runs the receiver: chown USER: ${root}`;
    return [{ check, verdict: 'failed', message: `${root}: this user may not write there`, hint }];
  }
  const mount = requireMount
    ? []
    : [
        {
          check,
          verdict: 'note' as const,
          message: 'require_mount is off: if the disk is not mounted, what lies below it is used',
          hint: 'Set require_mount = true if root is a mount point.',
        },
      ];
  return [{ check, verdict: 'ok', message: root }, ...mount];
}

async function checkArchive(store: Store, name: ArchiveName, settings: Settings): Promise<Finding[]> {
  const check = `archive ${name}`;
  try {
    return await withArchive(store, name, async (archive) => {
      const { totalBytes, freeBytes, freeInodes } = archive.space();
      const free = `${formatBytes(freeBytes)} of ${formatBytes(totalBytes)} free`;
      const findings = [space(check, free, { totalBytes, freeBytes, freeInodes }, settings)];
      const { since, damaged } = await scrubState(archive);
      const read = since === undefined ? 'some of it was never read' : `everything was read since ${day(since)}`;
      if (damaged > 0) {
        const hint = 'See "sparsebak-receiver check"; the next send repairs what the newest session needs.';
        findings.push({ check, verdict: 'failed', message: `${damaged} files are damaged`, hint });
      }
      const isRead = since !== undefined && since >= Date.now() - settings.scrubEvery;
      const hint = 'Run "sparsebak-receiver scrub", or turn on its timer.';
      findings.push(
        isRead
          ? { check, verdict: 'ok', message: read }
          : { check, verdict: 'overdue', message: `scrub: ${read}`, hint },
      );
      return findings;
    });
  } catch (caught) {
    return [failedBy(check, asSparsebakError(caught))];
  }
}

function space(
  check: string,
  free: string,
  { totalBytes, freeBytes, freeInodes }: { totalBytes: number; freeBytes: number; freeInodes?: number | undefined },
  { minFreeBytes, minFreeInodes, lowSpace }: Settings,
): Finding {
  const hint = 'Prune ("sparsebak-receiver prune", or in dom0 "sparsebak prune"), or use a larger disk.';
  if (freeBytes <= minFreeBytes || (freeInodes ?? Infinity) <= minFreeInodes) {
    return { check, verdict: 'failed', message: `${free}: sends fail rather than use the rest`, hint };
  }
  if (bytesShort({ totalBytes, freeBytes }, lowSpace) > 0) {
    return { check, verdict: 'failed', message: `${free}: the disk runs low`, hint };
  }
  return { check, verdict: 'ok', message: free };
}

function day(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
