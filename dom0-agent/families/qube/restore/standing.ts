/** Whether a qube of the archive can be restored here, and under which name. Pure. */
import type { ErrorCode, ErrorReport } from '../../../../shared/errors.ts';
import { isQubeName, RESTORE_TAG } from '../../../qubes/names.ts';
import { presenceOf } from '../here.ts';
import type { Host } from './host.ts';
import type { RestoreRequest, SelectedQube } from './request.ts';
import type { RestoreRecord } from './record.ts';

export type Standing =
  | { readonly kind: 'going'; readonly name: string; readonly record: RestoreRecord | undefined }
  /** Only for `--all`. */
  | { readonly kind: 'here' }
  | { readonly kind: 'left'; readonly error: ErrorReport };

/** Those that qubesd can create. */
const CLASSES: ReadonlySet<string> = new Set(['AppVM', 'TemplateVM', 'StandaloneVM', 'DispVM']);

export function standingOf(selected: SelectedQube, host: Host, request: RestoreRequest): Standing {
  const { qube, settings } = selected;
  const name = request.as ?? qube;
  const saved = settings.document;
  if (!isQubeName(name)) {
    const message = `"${name}" cannot be the name of a qube`;
    const hint = 'A letter, then letters, digits, "_", "." and "-", 31 in all; not ending in "-dm", and not dom0.';
    return left('usage', message, hint);
  }
  if (name === 'dom0') return left('usage', 'dom0 itself is not restored', 'Choose another name with --as.');
  if (!CLASSES.has(saved.class))
    return left('not-found', `${qube} is of the class ${saved.class}, which cannot be created`);
  if (request.mode === 'all') {
    const presence = presenceOf(qube, saved.uuid, [...host.qubes.values()]);
    const unfinished = host.tagged.has(name) || host.records.get(name)?.uuid === host.qubes.get(name)?.uuid;
    if (presence.is === 'renamed' || (presence.is === 'here' && !unfinished)) return { kind: 'here' };
  }
  const missing = Object.entries(saved.volumes).find(
    ([each, { saved: is }]) => is && selected.volumes[each] === undefined,
  );
  if (missing !== undefined) {
    const message = `${qube}: the archive has no ${qube}:${missing[0]} for its settings of ${settings.session}`;
    return left('not-found', message, 'Choose another session; see "sparsebak qube show".');
  }
  if (request.mode === 'replace') return toReplace(selected, name, host);
  return toCreate(selected, name, host, request);
}

function toCreate({ qube, settings }: SelectedQube, name: string, host: Host, request: RestoreRequest): Standing {
  const record = host.records.get(name);
  const entry = host.qubes.get(name);
  if (entry === undefined) return poolsUsable(qube, settings.document, host, request) ?? going(name, undefined);
  const isUnfinished = record !== undefined && record.phase !== 'done';
  if (isUnfinished && record.kind === 'create' && record.qube === qube && !host.foreign.has(name)) {
    return going(name, record);
  }
  if (isUnfinished && record.kind === 'replace' && record.uuid === entry.uuid) {
    return left(
      'target',
      `a restore that replaces ${name} was not finished`,
      `Continue it: sparsebak qube restore ${record.qube} --replace`,
    );
  }
  const reason = host.foreign.get(name);
  if (isUnfinished && reason !== undefined) {
    const message = `the qube ${name} is here, and is not the one that an unfinished restore was creating: ${reason}`;
    return left('target', message, 'Choose another name with --as, or rename or remove that qube first.');
  }
  if (host.tagged.has(name)) return tagged(name);
  if (request.mode === 'all' && record?.phase === 'done' && record.uuid === entry.uuid) return { kind: 'here' };
  const hint =
    request.as === undefined
      ? `Create it under another name with --as NAME, or put it back in its place with --replace.`
      : 'Choose another name with --as.';
  return left('target', `the qube ${name} exists already`, hint);
}

function toReplace({ qube, settings, volumes }: SelectedQube, name: string, host: Host): Standing {
  const saved = settings.document;
  const entry = host.qubes.get(name);
  if (entry === undefined) {
    const presence = presenceOf(qube, saved.uuid, [...host.qubes.values()]);
    const message = `there is no qube ${name} here to be replaced`;
    return presence.is === 'renamed'
      ? left(
          'not-found',
          `${message}: it is named ${presence.to} now`,
          'The next "sparsebak send" follows the new name; or restore a copy with --as NAME.',
        )
      : left('not-found', message, `Create it: sparsebak qube restore ${qube}`);
  }
  const record = host.records.get(name);
  const continues = record?.kind === 'replace' && record.phase !== 'done' && record.uuid === entry.uuid;
  if (record?.kind === 'create' && record.phase !== 'done' && record.uuid === entry.uuid) {
    return left(
      'target',
      `a restore that creates ${name} was not finished`,
      `Continue it: sparsebak qube restore ${record.qube}`,
    );
  }
  if (record?.kind === 'undo' && record.phase !== 'done' && record.uuid === entry.uuid) {
    const message = `an undo of the restore of ${name} was not finished`;
    return left('target', message, `Continue it: sparsebak qube restore ${record.qube} --undo`);
  }
  if (!continues && host.tagged.has(name)) return tagged(name);
  if (entry.class !== saved.class) {
    const message = `${name} cannot be replaced: its class is ${entry.class} here, and ${saved.class} in the archive`;
    return left('target', message, 'Restore it under another name with --as.');
  }
  if (entry.state !== 'Halted') {
    return left(
      'target',
      `the qube ${name} is not halted (${entry.state})`,
      `Shut it down first: qvm-shutdown --wait ${name}`,
    );
  }
  const now = host.settings.get(name)?.volumes ?? {};
  const without = Object.keys(volumes).find((volume) => now[volume]?.saved !== true);
  if (without !== undefined) {
    return left(
      'target',
      `${name} has no volume ${without} here that Qubes saves`,
      'Restore it under another name with --as.',
    );
  }
  const unusable = Object.keys(volumes).find((volume) => host.pools.get(now[volume]?.pool ?? '')?.usable !== true);
  if (unusable !== undefined) {
    const pool = now[unusable]?.pool ?? '';
    const message = `sparsebak cannot restore to the driver of ${pool}, the pool of ${name}:${unusable}`;
    return left('target', message, 'Restore it under another name with --as, in a pool of file-reflink or lvm_thin.');
  }
  return going(name, continues ? record : undefined);
}

function poolsUsable(
  qube: string,
  { volumes }: SelectedQube['settings']['document'],
  { pools, defaultPools }: Host,
  { pool }: RestoreRequest,
): Standing | undefined {
  if (pool !== undefined) return undefined;
  for (const [volume, { saved, pool: own }] of Object.entries(volumes)) {
    const standard = defaultPools.get(volume) ?? '';
    if (!saved || pools.get(own)?.usable === true || pools.get(standard)?.usable === true) continue;
    const message = `${qube}:${volume} has no pool here that can be restored to: neither ${own} nor the default pool`;
    return left('target', message, 'Choose one with --pool; its driver must be file-reflink or lvm_thin.');
  }
  return undefined;
}

function going(name: string, record: RestoreRecord | undefined): Standing {
  return { kind: 'going', name, record };
}

function tagged(name: string): Standing {
  return left(
    'target',
    `the qube ${name} has the tag ${RESTORE_TAG}, and not by a restore of this computer's sparsebak`,
    `If no other restore is running: qvm-tags ${name} del ${RESTORE_TAG}`,
  );
}

function left(code: ErrorCode, message: string, hint?: string): Standing {
  return { kind: 'left', error: hint === undefined ? { code, message } : { code, message, hint } };
}
