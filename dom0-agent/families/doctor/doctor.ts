/**
 * Checks in the order in which they depend on each other; each is reported, and what needs a failed one is left out.
 * Nothing is changed, no snapshot made, and no volume read.
 */
import { EXIT_STATUS, asSparsebakError } from '../../../shared/errors.ts';
import type { CommandContext } from '../../cli/command-context.ts';
import type { ArchiveConfig, Config } from '../../config/config.ts';
import { ArchiveState } from '../../proven-archive/archive-state.ts';
import { volumeAges } from '../../runs/overdue.ts';
import { checkArchive } from './archive.ts';
import { describeFindings, failedBy, isHealthy, type Finding } from '../../../shared/findings.ts';
import { checkHost } from './host.ts';
import { checkRuns, checkTimers } from './runs.ts';
import { checkSelection } from './selection.ts';

export interface DoctorOptions {
  readonly offline?: boolean;
}

export async function doctor(context: CommandContext, options: DoctorOptions): Promise<number> {
  const findings: Finding[] = [];
  const volumes: object[] = [];
  const config = configOf(context, findings);
  findings.push(...checkHost(config));
  if (config !== undefined) {
    findings.push(...(await checkSelection(context)));
    for (const archive of chosen(context, config)) {
      context.throwIfInterrupted();
      const checked = await checkOneArchive(context, archive, options);
      findings.push(...checked.findings);
      volumes.push(...checked.volumes);
    }
    findings.push(...(await checkTimers()));
  }
  context.progress.clear();
  const healthy = isHealthy(findings);
  context.conclude({ healthy, findings, volumes }, () => describeFindings(findings));
  return healthy ? 0 : EXIT_STATUS.partial;
}

function configOf(context: CommandContext, findings: Finding[]): Config | undefined {
  try {
    const { config } = context;
    const archives = config.archives.map(({ name }) => name).join(', ');
    findings.push({ check: 'configuration', verdict: 'ok', message: `${config.file}: ${archives || 'no archive'}` });
    return config;
  } catch (caught) {
    findings.push(failedBy('configuration', asSparsebakError(caught, 'config')));
    return undefined;
  }
}

/** All archives, or the one that --archive names. @throws `usage` */
function chosen(context: CommandContext, { archives }: Config): readonly ArchiveConfig[] {
  return context.options.archive === undefined ? archives : [context.archive];
}

async function checkOneArchive(
  context: CommandContext,
  archive: ArchiveConfig,
  { offline = false }: DoctorOptions,
): Promise<{ readonly findings: readonly Finding[]; readonly volumes: readonly object[] }> {
  const about = `archive ${archive.name}`;
  let state: ArchiveState;
  try {
    state = ArchiveState.open(context.config.stateDir, archive.name);
  } catch (caught) {
    return { findings: [failedBy(about, asSparsebakError(caught))], volumes: [] };
  }
  const asked = offline ? [] : await checkArchive(context, archive, state);
  const ages = volumeAges(state, context.config.notices.overdue, Date.now());
  return {
    findings: [...asked, ...checkRuns(context.config, archive, state)],
    volumes: ages.map(({ sent, proven, ...volume }) => ({
      archive: archive.name,
      ...volume,
      sent: asTime(sent),
      proven: asTime(proven),
    })),
  };
}

function asTime(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
