// What the programs' own --help says they take.

import { runBundle } from '../fixtures/installation.ts';

export type Program = 'sparsebak' | 'sparsebak-receiver';

export interface Help {
  /** `sparsebak key add`. */
  readonly command: string;
  /** `[slot]`; without `[options]`. */
  readonly usage: string;
  /** `--passphrase-file`, …; without `--help`. */
  readonly options: readonly string[];
  readonly hasExample: boolean;
}

/** The program itself and all its commands, whatever their depth. */
export async function helpOf(program: Program, path: readonly string[] = []): Promise<Help[]> {
  const { status, stdout } = await runBundle(program, [...path, '--help']);
  if (status !== 0) throw new Error(`${program} ${path.join(' ')} --help ended with ${String(status)}`);
  const command = [program, ...path].join(' ');
  const own: Help = {
    command,
    usage: usageOf(command, /^Usage: (.*)$/m.exec(stdout)?.[1] ?? ''),
    hasExample: /^Examples?\b.*:\n+ {2}(sparsebak|sparsebak-receiver) /m.test(stdout),
    options: [...section(stdout, 'Options').matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name = '']) => name),
  };
  const commands = [...section(stdout, 'Commands').matchAll(/^ {2}([a-z]+)/gm)].map(([, name = '']) => name);
  const inner: Help[] = [];
  for (const name of commands) inner.push(...(await helpOf(program, [...path, name])));
  return [
    { ...own, options: path.length === 0 ? own.options : own.options.filter((name) => name !== '--help') },
    ...inner,
  ];
}

function section(text: string, heading: string): string {
  return new RegExp(`^${heading}:\\n((?: .*\\n)*)`, 'm').exec(text)?.[1] ?? '';
}

export function usageOf(command: string, line: string): string {
  return line.slice(command.length).replace('[options]', '').trim().replaceAll(/ +/g, ' ');
}
