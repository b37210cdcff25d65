/** The end of a restore in words: what is whole, what was changed, and what needs the user. */
import { escapeText } from '../../../../shared/text.ts';
import { formatTable } from '../../../cli/output.ts';
import type { RestorePlan } from './plan.ts';
import type { QubeResult } from './result.ts';
import { RESTORE_TAG } from '../../../qubes/names.ts';

const LONGEST = 1000;

/** @param plan undefined for an undo */
export function describeResults(
  plan: RestorePlan | undefined,
  results: readonly QubeResult[],
  home: { readonly commands: readonly string[] } | undefined,
): string {
  const left = plan?.left ?? [];
  const rows = [
    ...results.map(({ name, action, result, error, remarks }) => [
      ...[name, DONE[action], result],
      error?.message ?? describeCount(remarks.length),
    ]),
    ...left.map(({ qube, error }) => [qube, '-', 'left out', error.message]),
  ].map((row) => row.map((cell) => escapeText(cell, LONGEST)));
  const lines = [
    ...(rows.length === 0 ? ['Nothing was to be restored.'] : [formatTable(['QUBE', 'DONE', 'RESULT', ''], rows)]),
    ...results.flatMap(details),
    ...left.flatMap(({ qube, error }) => (error.hint === undefined ? [] : [`  → ${qube}: ${error.hint}`])),
    ...((plan?.install.length ?? 0) === 0 ? [] : ['Then run this command again, after:']),
    ...(plan?.install ?? []).map(({ command }) => `  ${command}`),
    ...(plan === undefined || plan.here.length === 0 ? [] : [`Here already: ${plan.here.join(', ')}.`]),
    ...(home === undefined ? [] : ["dom0's home is restored by hand:", ...home.commands.map((each) => `  ${each}`)]),
  ];
  return lines
    .map((line) =>
      line
        .split('\n')
        .map((each) => escapeText(each, LONGEST))
        .join('\n'),
    )
    .join('\n');
}

const DONE = { create: 'created', continue: 'created', replace: 'replaced', undo: 'put back' } as const;

function describeCount(count: number): string {
  return count === 0 ? '' : `${count} ${count === 1 ? 'difference' : 'differences'}, see below`;
}

function details({ name, remarks, kept, error }: QubeResult): string[] {
  return [
    ...remarks.map(({ about, message, needsUser }) => `${needsUser ? '!' : ' '} ${name}: ${about}: ${message}`),
    ...kept.map(
      ({ volume, pool, name: file }) =>
        `  ${name}:${volume}: the old volume is kept as ${file} in the pool ${pool}; "sparsebak qube restore ${name} ` +
        '--undo" puts it back',
    ),
    ...(error?.hint === undefined ? [] : [`  → ${name}: ${error.hint}`]),
    ...(error === undefined
      ? []
      : [`  ${name} may have the tag ${RESTORE_TAG}: then it does not start until it is restored.`]),
  ];
}
