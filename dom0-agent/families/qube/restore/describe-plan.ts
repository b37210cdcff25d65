/** The plan of a restore in words. */
import { formatBytes } from '../../../../shared/terminal/sizes.ts';
import { escapeText } from '../../../../shared/text.ts';
import { describeChange } from './changes.ts';
import type { PlannedQube, RestorePlan } from './plan.ts';

const LONGEST = 500;

export function describePlan({ qubes, labels, left, install, here }: RestorePlan): string {
  const lines = [
    ...labels.map(({ name, colour }) => `The label ${name} (${colour}) is created.`),
    ...qubes.flatMap(describeQube),
    ...(here.length === 0 ? [] : [`Here already: ${here.join(', ')}.`]),
    ...left.flatMap(({ qube, error }) => [
      `${qube} is left out: ${error.message}`,
      ...(error.hint === undefined ? [] : [`  → ${error.hint}`]),
    ]),
    ...(install.length === 0 ? [] : ['Templates to install:', ...install.map(({ command }) => `  ${command}`)]),
  ];
  if (qubes.length === 0) lines.unshift('Nothing is to be restored.');
  return lines.map((line) => escapeText(line, LONGEST)).join('\n');
}

const VERBS = { create: 'is created', continue: 'is continued', replace: 'is replaced' } as const;

function describeQube(qube: PlannedQube): string[] {
  const { name, action, class: qubeClass, template, label, session, volumes, changes, remarks } = qube;
  const from = name === qube.qube ? '' : ` from ${qube.qube}`;
  const based = template === null ? '' : `, template ${template}`;
  return [
    `${name} ${VERBS[action]}${from}: ${qubeClass}${based}, label ${label}, settings of ${session}`,
    ...volumes.map(
      ({ volume, session: at, sizeBytes, pool }) =>
        `  ${volume}: ${formatBytes(sizeBytes)} of ${at}, in the pool ${pool}`,
    ),
    ...changes.map((change) => `  ${describeChange(change)}`),
    ...remarks.map(({ about, message }) => `  ${about}: ${message}`),
  ];
}
