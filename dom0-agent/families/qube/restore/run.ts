/** Carries out a plan, qube by qube. Each step can be repeated: a run that was cut off is continued by the next. */
import { RESTORE_TAG } from '../../../qubes/names.ts';
import { asSparsebakError, reportOf, SparsebakError } from '../../../../shared/errors.ts';
import { noteRestoredQube } from '../../../qubes/known-qubes.ts';
import { QubesdRefusal } from '../../../qubes/socket.ts';
import { exchangeAll, refuseRunning } from './exchange-all.ts';
import type { PlannedQube, RestorePlan } from './plan.ts';
import type { RestoreRecord } from './record.ts';
import { outcomeOf, type QubeResult } from './result.ts';
import type { RestoreServices } from './services.ts';
import { finish, settingsNow, settleLinks, settleOwn, type Target } from './settle.ts';
import { placesOf, refuseUse, stage, takePlace } from './stage.ts';
import type { Remark } from './wanted.ts';

/** A qube whose volumes and own settings are restored. */
interface Going {
  readonly qube: PlannedQube;
  readonly record: RestoreRecord;
  readonly target: Target;
  readonly remarks: Remark[];
}

/** @throws what ends the whole restore: qubesd or the receiver no longer answers, or the user interrupts it */
export async function runPlan(services: RestoreServices, plan: RestorePlan): Promise<QubeResult[]> {
  const { context } = services;
  for (const { name, colour } of plan.labels) await createLabel(services, name, colour);
  for (const { name, volumes } of plan.qubes) {
    for (const { volume, sizeBytes } of volumes) context.progress.expect(`${name}:${volume}`, sizeBytes);
  }
  context.progress.begin('restoring');
  const results = new Map<string, QubeResult>();
  const attempt = async <T>(qube: PlannedQube, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      context.throwIfInterrupted();
      return await work();
    } catch (caught) {
      if (isEnd(services, caught)) throw explained(caught, qube.name);
      const error = caught instanceof QubesdRefusal ? refused(caught, qube) : asSparsebakError(caught);
      results.set(qube.qube, failed(qube, error));
      return undefined;
    }
  };
  const going: Going[] = [];
  for (const qube of plan.qubes) {
    const begun = await attempt(qube, () =>
      qube.action === 'replace' ? replace(services, qube) : create(services, qube),
    );
    if (begun !== undefined) going.push(begun);
  }
  const linked: Going[] = [];
  for (const each of going) {
    const refusals = await attempt(each.qube, () => settleLinks(services, each.target));
    if (refusals !== undefined) linked.push({ ...each, remarks: [...each.remarks, ...refusals] });
  }
  for (const { qube, record, remarks } of linked) {
    const last = await attempt(qube, () => finish(services, record));
    if (last === undefined) continue;
    results.set(qube.qube, done(qube, record, [...qube.remarks, ...remarks, ...last]));
    if (record.kind === 'create' && !qube.isCopy && record.uuid !== null) {
      noteRestoredQube(services.archive.open.state.folder, record.name, record.uuid);
    }
  }
  return plan.qubes.flatMap(({ qube }) => results.get(qube) ?? []);
}

async function createLabel({ qubesd }: RestoreServices, name: string, colour: string): Promise<void> {
  try {
    if ((await qubesd.label(name)) === undefined) await qubesd.createLabel(name, colour);
  } catch (error) {
    if (!(error instanceof QubesdRefusal)) throw error;
    throw new SparsebakError('target', `Qubes does not create the label ${name} (${colour}): ${error.message}`, {
      hint: `Create it by hand, and run the command again: qubesd-query dom0 admin.label.Create dom0 ${name}`,
    });
  }
}

/** Creates the qube, if that was not done, and restores its volumes one after another. */
async function create(services: RestoreServices, qube: PlannedQube): Promise<Going> {
  let record = await begin(services, qube);
  const volumes = await placesOf(services, qube);
  await refuseUse(qube.name, volumes);
  for (const placed of volumes) {
    const { volume } = placed.planned;
    await growThin(services, qube, placed);
    record = await stage(services, record, placed);
    record = await takePlace(record, volume, placed.place);
    const content = record.volumes[volume];
    // The blank one that the creation made.
    if (content !== undefined) await placed.place.exchange.remove(content.kept);
    services.records.write(record);
  }
  record = { ...record, phase: 'settings' };
  services.records.write(record);
  const target = targetOf(qube);
  return { qube, record, target, remarks: await settleOwn(services, target) };
}

async function begin({ qubesd, records }: RestoreServices, qube: PlannedQube): Promise<RestoreRecord> {
  const { name, class: qubeClass, template, label } = qube;
  const there = await qubesd.qube(name);
  const known = there === undefined ? undefined : records.read(name);
  if (there !== undefined && (known === undefined || known.phase === 'done')) {
    throw new SparsebakError('target', `a qube ${name} was created meanwhile`, {
      hint: 'Choose another name with --as.',
    });
  }
  const record: RestoreRecord = known ?? { ...newRecord(qube), kind: 'create', phase: 'create' };
  if (known === undefined) records.write(record);
  if (there === undefined) {
    const pools = Object.fromEntries(qube.volumes.map(({ volume, pool }) => [volume, pool]));
    await qubesd.create({ class: qubeClass, template, name, label, pools });
  }
  await qubesd.setTag(name, RESTORE_TAG);
  const uuid = there?.uuid ?? (await qubesd.qube(name))?.uuid ?? null;
  const begun: RestoreRecord = { ...record, uuid, session: qube.asOf, phase: 'volumes' };
  records.write(begun);
  return begun;
}

function newRecord({
  qube,
  name,
  class: qubeClass,
  template,
  label,
  asOf,
}: PlannedQube): Omit<RestoreRecord, 'kind' | 'phase'> {
  return {
    ...{ v: 1 as const, qube, name, uuid: null, class: qubeClass, template, label, session: asOf },
    ...{ volumes: {}, before: null, after: null },
  };
}

/** qubesd notes the size of a thin volume when it changes it: the restored one then has the size that it knows. */
async function growThin(
  { qubesd }: RestoreServices,
  { name }: PlannedQube,
  { planned, there, place }: Awaited<ReturnType<typeof placesOf>>[number],
): Promise<void> {
  if (place.source.kind !== 'lvm-thin' || planned.sizeBytes <= there.size) return;
  try {
    await qubesd.resizeVolume(name, planned.volume, planned.sizeBytes);
  } catch (error) {
    // It then shows the old size until it next looks.
    if (!(error instanceof QubesdRefusal)) throw error;
  }
}

/** Restores all volumes beside their places, then exchanges all of them. */
async function replace(services: RestoreServices, qube: PlannedQube): Promise<Going> {
  let record = await beginReplace(services, qube);
  if (record.phase === 'volumes') {
    const volumes = await placesOf(services, qube);
    await refuseUse(qube.name, volumes);
    for (const placed of volumes) record = await stage(services, record, placed);
    record = { ...record, phase: 'exchange' };
    services.records.write(record);
  }
  if (record.phase === 'exchange') record = await exchangeAll(services, record);
  const target = targetOf(qube);
  return { qube, record, target, remarks: await settleOwn(services, target) };
}

async function beginReplace(services: RestoreServices, qube: PlannedQube): Promise<RestoreRecord> {
  const { qubesd, records } = services;
  const known = records.read(qube.name);
  const now = await settingsNow(services, qube.name);
  const isUnfinished = known?.kind === 'replace' && known.phase !== 'done' && known.uuid === now.uuid;
  const isEarlier = known?.phase === 'done' && known.kind !== 'create' && known.uuid === now.uuid;
  const earlier = isEarlier ? { ...known, earlier: null } : null;
  const record: RestoreRecord = isUnfinished
    ? { ...known, session: qube.asOf }
    : { ...newRecord(qube), kind: 'replace', phase: 'volumes', uuid: now.uuid, before: now, earlier };
  records.write(record);
  await qubesd.setTag(qube.name, RESTORE_TAG);
  await refuseRunning(services, qube.name);
  return record;
}

function targetOf({ name, wanted, isCopy, volumes }: PlannedQube): Target {
  const revisions = volumes.map(({ volume, revisionsToKeep }) => [volume, revisionsToKeep] as const);
  return { name, wanted, isCopy, revisionsToKeep: Object.fromEntries(revisions) };
}

/** Whether nothing more can be restored. */
function isEnd({ context, archive }: RestoreServices, error: unknown): boolean {
  if (context.signal.aborted || archive.open.client.failure !== undefined) return true;
  return error instanceof SparsebakError && ['source', 'io', 'interrupted', 'unreachable'].includes(error.code);
}

function explained(caught: unknown, name: string): SparsebakError {
  const error = asSparsebakError(caught);
  const hint =
    `${error.hint === undefined ? '' : `${error.hint.replace(/[.]?$/, '.')} `}Then run the same command again: it continues. Until then ` +
    `${name} keeps the tag ${RESTORE_TAG}, and does not start.`;
  return new SparsebakError(error.code, error.message, { hint, cause: error });
}

function refused({ message, call }: QubesdRefusal, { name }: PlannedQube): SparsebakError {
  return new SparsebakError('target', `${name}: qubesd refused ${call}: ${message}`, {
    hint: 'See "journalctl -u qubesd"; then run the same command again: it continues.',
  });
}

function failed({ qube, name, action, volumes, remarks }: PlannedQube, error: SparsebakError): QubeResult {
  return { ...{ qube, name, action, result: 'failed', volumes, remarks, kept: [] }, error: reportOf(error) };
}

function done(
  { qube, name, action, volumes }: PlannedQube,
  record: RestoreRecord,
  remarks: readonly Remark[],
): QubeResult {
  const kept = Object.entries(record.volumes).map(([volume, content]) => ({
    ...{ volume, pool: content.pool },
    name: content.kept,
  }));
  const shown = volumes.map(({ volume, session }) => ({ volume, session }));
  const result = outcomeOf(remarks);
  return { qube, name, action, result, volumes: shown, remarks, kept: action === 'replace' ? kept : [] };
}
