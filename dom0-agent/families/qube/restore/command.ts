/** `qube restore`: makes the plan, shows it, has it confirmed, and carries it out. */
import { join } from 'node:path';
import { makeFolderDurably } from '../../../../shared/durable.ts';
import { EXIT_STATUS, SparsebakError, type ErrorReport } from '../../../../shared/errors.ts';
import type { CommandContext } from '../../../cli/command-context.ts';
import { confirm } from '../../../cli/confirm.ts';
import { print } from '../../../cli/output.ts';
import { printVolumeErrors } from '../../../cli/volume-errors.ts';
import { withArchive } from '../../../cli/with-archive.ts';
import { withWorkers } from '../../../cli/with-workers.ts';
import { acquireLock } from '../../../process/flock.ts';
import { mustBeAccessible } from '../../../proven-archive/state-access.ts';
import { DOM0_HOME, RESTORE_TAG } from '../../../qubes/names.ts';
import type { Qubesd } from '../../../qubes/qubesd.ts';
import { surroundings } from '../../../qubes/read-settings.ts';
import { QubeArchive } from '../archived.ts';
import { qubesdOf } from '../here.ts';
import { describePlan } from './describe-plan.ts';
import { describeResults } from './describe-results.ts';
import { checkPool, hostOf } from './host.ts';
import { planOf, type RestorePlan } from './plan.ts';
import { RestoreRecords } from './record.ts';
import type { RestoreRequest } from './request.ts';
import type { QubeResult } from './result.ts';
import { runPlan } from './run.ts';
import { selectQubes } from './select.ts';
import type { HostServices } from './services.ts';
import { Storages } from './storages.ts';
import { undo } from './undo.ts';

export interface RestoreQubesOptions {
  readonly as?: string;
  readonly session?: string;
  readonly pool?: string;
  readonly mapTemplate: readonly string[];
  readonly mapNetvm: readonly string[];
  readonly replace?: boolean;
  readonly undo?: boolean;
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export async function restoreQubes(
  context: CommandContext,
  names: readonly string[],
  options: RestoreQubesOptions,
): Promise<number> {
  const request = requestOf(names, options);
  const { stateDir } = context.config;
  mustBeAccessible(stateDir);
  const records = new RestoreRecords(stateDir);
  makeFolderDurably(records.folder);
  const lock = await acquireLock(join(records.folder, 'lock'), {
    ...{ exclusive: true, waitSeconds: context.lockWait, signal: context.signal },
    onWait: () => {
      context.log.warn('waiting for another "sparsebak qube restore"');
    },
  });
  try {
    const qubesd = qubesdOf(context.config);
    const around = await surroundings(qubesd);
    await noteSettled(qubesd, records);
    const services = { context, qubesd, around, records, storages: new Storages(qubesd, context.config) };
    const yes = options.yes === true;
    if (options.undo === true) return await undo(services, names, { yes, dryRun: options.dryRun === true });
    return await restoreThem(services, names, request, options);
  } finally {
    lock.release();
  }
}

/** Removing the tag is a restore's last step: one that was killed right after it is done. */
async function noteSettled(qubesd: Qubesd, records: RestoreRecords): Promise<void> {
  for (const record of records.all().filter(({ phase }) => phase === 'settings')) {
    const entry = await qubesd.qube(record.name);
    if (entry?.uuid !== record.uuid) continue;
    if (!(await qubesd.tags(record.name)).includes(RESTORE_TAG)) records.write({ ...record, phase: 'done' });
  }
}

/** @throws `usage` for options that do not go together */
function requestOf(names: readonly string[], options: RestoreQubesOptions): RestoreRequest {
  const { as, pool, replace = false, all = false, undo: undoes = false, session } = options;
  const refuse = (message: string, hint: string): never => {
    throw new SparsebakError('usage', message, { hint });
  };
  const ways = [as !== undefined, replace, all, undoes].filter(Boolean).length;
  if (ways > 1) refuse('--as, --replace, --undo and --all do not go together', 'Give only one of them.');
  if (all && names.length > 0) refuse('--all takes no names', 'Leave out the names, or --all.');
  if (!all && names.length === 0) refuse('no qube is named', 'Give its name, or --all; see "sparsebak qube list".');
  if (as !== undefined && names.length > 1) refuse('--as is for one qube', 'Restore them one by one.');
  if (new Set(names).size < names.length) refuse('a qube is named twice', 'Give each name once.');
  const maps = options.mapTemplate.length + options.mapNetvm.length > 0;
  if (undoes && (session !== undefined || pool !== undefined || maps)) {
    refuse('--undo takes no session, pool or other template', 'It puts back what was there before --replace.');
  }
  if (replace && pool !== undefined) refuse('--pool is not allowed with --replace', 'The volumes stay in their pools.');
  return {
    ...{ mode: replace ? 'replace' : all ? 'all' : 'create', as, pool },
    templates: mapOf('--map-template', options.mapTemplate),
    netvms: mapOf('--map-netvm', options.mapNetvm),
  };
}

function mapOf(option: string, pairs: readonly string[]): Map<string, string> {
  return new Map(
    pairs.map((pair) => {
      const [from = '', to = '', ...more] = pair.split('=');
      if (from !== '' && to !== '' && more.length === 0) return [from, to];
      throw new SparsebakError('usage', `"${pair}" is not a value of ${option}`, {
        hint: `Write ${option} OLD=NEW, for example ${option} fedora-40-xfce=fedora-42-xfce.`,
      });
    }),
  );
}

async function restoreThem(
  services: HostServices,
  names: readonly string[],
  request: RestoreRequest,
  options: RestoreQubesOptions,
): Promise<number> {
  const { context } = services;
  return await withArchive(context, 'retrieve', async (open) => {
    const archive = await QubeArchive.of(open);
    const plan = await makePlan(services, archive, { names, request, session: options.session });
    const home = request.mode === 'all' ? homeOf(archive) : undefined;
    if (request.mode !== 'all' && plan.qubes.length === 0) refuseAll(plan);
    if (options.dryRun === true) {
      context.conclude({ plan, home: home ?? null, results: null }, () => describePlan(plan));
      return plan.left.length > 0 ? EXIT_STATUS.partial : 0;
    }
    if (plan.qubes.length > 0) await ask(context, plan, request, options.yes === true);
    const results =
      plan.qubes.length === 0
        ? []
        : await withWorkers(open.state, (workers) => runPlan({ ...services, archive, workers }, plan));
    context.progress.clear();
    context.conclude({ plan, home: home ?? null, results }, () => describeResults(plan, results, home));
    return statusOf(plan, results);
  });
}

async function makePlan(
  { context, qubesd, records }: HostServices,
  archive: QubeArchive,
  asked: { readonly names: readonly string[]; readonly request: RestoreRequest; readonly session: string | undefined },
): Promise<RestorePlan> {
  const { names, request, session } = asked;
  const nameOf = (qube: string): string => request.as ?? qube;
  const kind = request.mode === 'replace' ? 'replace' : 'create';
  const unfinished = (qube: string) => {
    const record = records.read(nameOf(qube));
    return record?.kind === kind && record.qube === qube && record.phase !== 'done' ? record : undefined;
  };
  // An unfinished record counts only while its qube is here; without it, the restore starts over.
  const here = new Set((await qubesd.qubes()).map(({ name }) => name));
  const { selected, left } = await selectQubes(archive, names, session, (qube) =>
    here.has(nameOf(qube)) ? unfinished(qube) : undefined,
  );
  const documents = selected.map(({ settings }) => settings.document);
  const templates = documents.flatMap(({ class: is, template }) =>
    is === 'DispVM' && template !== null ? [request.templates.get(template) ?? template] : [],
  );
  const host = await hostOf(qubesd, {
    ...{ documents, templates, records, replaces: request.mode === 'replace' },
    names: selected.map(({ qube }) => nameOf(qube)),
  });
  checkPool(host, request.pool);
  checkMapped(request, host.qubes, selected);
  context.throwIfInterrupted();
  const plan = planOf(selected, host, request);
  return { ...plan, left: [...left, ...plan.left] };
}

/** @throws `not-found` if a qube that takes the place of another is neither here nor restored */
function checkMapped(
  { templates, netvms }: RestoreRequest,
  here: ReadonlyMap<string, unknown>,
  selected: readonly { readonly qube: string }[],
): void {
  for (const name of [...templates.values(), ...netvms.values()]) {
    if (here.has(name) || selected.some(({ qube }) => qube === name)) continue;
    throw new SparsebakError('not-found', `there is no qube "${name}"`, { hint: 'See "qvm-ls".' });
  }
}

function refuseAll({ left }: RestorePlan): never {
  const [first, ...more] = left;
  if (first === undefined) throw new SparsebakError('not-found', 'there is nothing to restore');
  printVolumeErrors(more.map(({ qube, error }) => ({ name: qube, error })));
  const { code, message, hint } = first.error;
  throw new SparsebakError(code as keyof typeof EXIT_STATUS, message, hint === undefined ? {} : { hint });
}

/** A restore to a new name destroys nothing, and does not ask. */
async function ask(context: CommandContext, plan: RestorePlan, { mode }: RestoreRequest, yes: boolean): Promise<void> {
  const count = plan.qubes.length === 1 ? (plan.qubes[0]?.name ?? '') : `${plan.qubes.length} qubes`;
  if (mode === 'create') {
    if (!context.json) print(describePlan(plan), 2);
    return;
  }
  if (yes && !context.json) print(describePlan(plan), 2);
  await confirm(describePlan(plan), mode === 'replace' ? `Replace ${count}?` : `Restore ${count}?`, yes);
}

function homeOf({ found: { dom0Home } }: QubeArchive): { readonly commands: readonly string[] } | undefined {
  if (dom0Home === undefined) return undefined;
  return {
    commands: [
      `sparsebak restore ${DOM0_HOME} --to /root/home.tar`,
      'tar --extract --file /root/home.tar --directory DIR',
    ],
  };
}

/** Damage counts most, then a qube that failed; then what needs the user. */
function statusOf({ left }: RestorePlan, results: readonly QubeResult[]): number {
  const errors = [...left.map(({ error }) => error), ...results.flatMap(({ error }) => error ?? [])];
  const statuses = errors.map(({ code }: ErrorReport) => EXIT_STATUS[code as keyof typeof EXIT_STATUS]);
  if (statuses.includes(EXIT_STATUS.integrity)) return EXIT_STATUS.integrity;
  const needsUser = results.some(({ remarks }) => remarks.some((remark) => remark.needsUser));
  return errors.length > 0 || needsUser ? EXIT_STATUS.partial : 0;
}
