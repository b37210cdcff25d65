/** `qube restore --undo`: puts back the volumes and settings that a `--replace` replaced, and keeps those of now. */
import { RESTORE_TAG } from '../../../qubes/names.ts';
import { EXIT_STATUS, reportOf, SparsebakError } from '../../../../shared/errors.ts';
import { escapeText } from '../../../../shared/text.ts';
import { confirm } from '../../../cli/confirm.ts';
import { decodeSettings, encodeSettings, type Settings } from '../../../qubes/settings.ts';
import { QubesdRefusal } from '../../../qubes/socket.ts';
import { describeChange, linkChanges, ownChanges } from './changes.ts';
import { canBeGivenUp, describeGivingUp, giveUp } from './give-up.ts';
import { describeResults } from './describe-results.ts';
import { exchangeAll, refuseRunning } from './exchange-all.ts';
import type { RestoreRecord, VolumeRecord } from './record.ts';
import { outcomeOf, type QubeResult } from './result.ts';
import type { HostServices } from './services.ts';
import { finish, settingsNow, settleLinks, settleOwn } from './settle.ts';
import { wantedOf, type Wanted } from './wanted.ts';

const LONGEST = 500;

interface Going {
  readonly name: string;
  readonly record: RestoreRecord;
  readonly document: Settings;
  readonly wanted: Wanted;
}

export async function undo(
  services: HostServices,
  names: readonly string[],
  { yes, dryRun }: { readonly yes: boolean; readonly dryRun: boolean },
): Promise<number> {
  const { context, records } = services;
  const unfinished = names.flatMap((name) => records.read(name) ?? []).filter(canBeGivenUp);
  const going: Going[] = [];
  for (const name of names) {
    if (!unfinished.some((record) => record.name === name)) going.push(await prepare(services, name));
  }
  const descriptions = await Promise.all(going.map((each) => describeUndo(services, each)));
  const about = [...unfinished.flatMap(describeGivingUp), ...descriptions].join('\n');
  if (dryRun) {
    const all = [...unfinished, ...going.map(({ record }) => record)];
    context.conclude({ undo: all.map(({ name, volumes }) => ({ name, volumes })) }, () => about);
    return 0;
  }
  await confirm(about, `Put back ${names.join(', ')} as it was before it was replaced?`, yes);
  const results: QubeResult[] = [];
  for (const record of unfinished) results.push(await giveUp(services, record));
  for (const each of going) results.push(await putBack(services, each));
  context.conclude({ results }, () => describeResults(undefined, results, undefined));
  if (results.some(({ error }) => error !== undefined)) return EXIT_STATUS.failed;
  return results.some(({ remarks }) => remarks.some(({ needsUser }) => needsUser)) ? EXIT_STATUS.partial : 0;
}

/** @throws `not-found` if nothing was replaced, `target` if the qube is another one, or not halted */
async function prepare(services: HostServices, name: string): Promise<Going> {
  const { records, qubesd } = services;
  const known = records.read(name);
  if (known === undefined || known.kind === 'create' || (known.kind === 'replace' && known.phase !== 'done')) {
    const hint =
      known?.kind === 'replace'
        ? `The last one is half done. Complete it first: sparsebak qube restore ${known.qube} --replace`
        : 'Only a "sparsebak qube restore --replace" of this computer can be undone.';
    throw new SparsebakError('not-found', `no replacement of ${name} can be undone`, { hint });
  }
  await refuseRunning(services, name);
  const now = await settingsNow(services, name);
  if (now.uuid !== known.uuid) {
    throw new SparsebakError('target', `the qube ${name} is not the one that was replaced: it has another uuid`, {
      hint: 'It was removed and created again. What was kept of the old one is beside its volumes, if at all.',
    });
  }
  const continues = known.kind === 'undo' && known.phase !== 'done';
  if (!continues && now.tags.includes(RESTORE_TAG)) {
    throw new SparsebakError('target', `the qube ${name} has the tag ${RESTORE_TAG}: another program restores it`, {
      hint: `If no other restore is running: qvm-tags ${name} del ${RESTORE_TAG}`,
    });
  }
  const record = continues ? known : await reversed(services, known, now);
  const document = decodeSettings(Buffer.from(JSON.stringify(record.after)), name);
  const entries = new Set((await qubesd.qubes()).map((entry) => entry.name));
  const nameHere = (saved: string): string | undefined => (entries.has(saved) ? saved : undefined);
  const { wanted } = wantedOf(document, {
    ...{ name, nameHere, netvmHere: nameHere, template: document.template, label: document.label.name, isCopy: false },
    ...{ isNew: false, known: undefined, deviceClasses: new Set(services.around.deviceClasses) },
  });
  return { name, record, document, wanted };
}

/** The record of the exchange in the other direction. Nothing is changed yet. */
async function reversed({ storages }: HostServices, done: RestoreRecord, now: Settings): Promise<RestoreRecord> {
  const volumes: Record<string, VolumeRecord> = {};
  for (const [volume, content] of Object.entries(done.volumes)) {
    const { exchange } = await storages.pool(content.pool);
    if (!(await exchange.exists(content.kept))) {
      throw new SparsebakError('not-found', `the old volume ${done.name}:${volume} was removed: ${content.kept}`, {
        hint: 'What is left of that replacement can be restored from the archive with --session.',
      });
    }
    let seconds = Math.floor(Date.now() / 1000);
    while (await exchange.exists(exchange.names(content.name, seconds).kept)) seconds++;
    const { kept } = exchange.names(content.name, seconds);
    volumes[volume] = { ...content, staged: content.kept, kept, state: 'staged' };
  }
  const before: unknown = JSON.parse(encodeSettings(now).toString('utf8'));
  return { ...done, kind: 'undo', phase: 'exchange', volumes, before, after: done.before };
}

async function describeUndo(services: HostServices, { name, record, wanted }: Going): Promise<string> {
  const now = await settingsNow(services, name);
  const changes = [...ownChanges(wanted, now, false), ...linkChanges(wanted, now)];
  return [
    `${name} is put back as it was before it was replaced:`,
    ...Object.entries(record.volumes).map(
      ([volume, { staged, kept }]) => `  ${volume}: ${staged}; the present one becomes ${kept}`,
    ),
    ...changes.map((change) => `  ${describeChange(change)}`),
  ]
    .map((line) => escapeText(line, LONGEST))
    .join('\n');
}

async function putBack(services: HostServices, { name, record, document, wanted }: Going): Promise<QubeResult> {
  const { qubesd, records } = services;
  const shown = {
    ...{ qube: record.qube, name, action: 'undo' as const },
    volumes: Object.entries(record.volumes).map(([volume, { session }]) => ({ volume, session })),
    kept: Object.entries(record.volumes).map(([volume, { pool, kept }]) => ({ volume, pool, name: kept })),
  };
  try {
    records.write(record);
    await qubesd.setTag(name, RESTORE_TAG);
    await refuseRunning(services, name);
    const exchanged = record.phase === 'exchange' ? await exchangeAll(services, record) : record;
    const revisions = Object.entries(document.volumes).filter(([, { saved }]) => saved);
    const target = {
      ...{ name, wanted, isCopy: false },
      revisionsToKeep: Object.fromEntries(revisions.map(([volume, { revisionsToKeep }]) => [volume, revisionsToKeep])),
    };
    const own = await settleOwn(services, target);
    const links = await settleLinks(services, target);
    const remarks = [...own, ...links, ...(await finish(services, exchanged))];
    return { ...shown, result: outcomeOf(remarks), remarks };
  } catch (caught) {
    if (!(caught instanceof SparsebakError) && !(caught instanceof QubesdRefusal)) throw caught;
    const error =
      caught instanceof SparsebakError
        ? caught
        : new SparsebakError('target', `${name}: qubesd refused ${caught.call}: ${caught.message}`);
    if (['source', 'io', 'interrupted'].includes(error.code)) throw error;
    return { ...shown, kept: [], result: 'failed', remarks: [], error: reportOf(error) };
  }
}
