// Programs that scenarios start: each must succeed.

import { spawnSync } from 'node:child_process';

export function run(program: string, ...args: string[]): string {
  return runWith({}, program, ...args);
}

export function runWith(environment: NodeJS.ProcessEnv, program: string, ...args: string[]): string {
  const result = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...environment } });
  if (result.status !== 0) {
    throw new Error(`${program} ${args.join(' ')}: ${String(result.status)} ${result.error?.message ?? result.stderr}`);
  }
  return result.stdout;
}

export function succeeds(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** One column of `lvs`, by name of the volume. */
export function lvs(group: string, field: string): Map<string, string> {
  const lines = run('lvs', '--noheadings', '--separator', '|', '-o', `lv_name,${field}`, group).split('\n');
  return new Map(
    lines.flatMap((line): [string, string][] => {
      const [name = '', value = ''] = line.trim().split('|');
      return name === '' ? [] : [[name, value]];
    }),
  );
}
