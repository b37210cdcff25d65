/** The user of dom0: the first member of the group `qubes`, as Qubes' own tools take it. */
import { readFileSync } from 'node:fs';
import { SparsebakError } from '../../shared/errors.ts';

/** @throws `config` if there is no such user */
export function dom0UserHome(): string {
  const name = fieldsOf('/etc/group', 'qubes')?.[3]?.split(',')[0] ?? '';
  const home = name === '' ? undefined : fieldsOf('/etc/passwd', name)?.[5];
  if (home?.startsWith('/') === true) return home;
  throw new SparsebakError('config', "dom0's user is not known: the group qubes has no member with a home directory", {
    hint: 'Give its path: dom0_home = "/home/user" in section [qubes] of the configuration.',
  });
}

/** The fields of the line of this name. */
function fieldsOf(file: string, name: string): string[] | undefined {
  try {
    const lines = readFileSync(file, 'utf8').split('\n');
    return lines.map((line) => line.split(':')).find(([first]) => first === name);
  } catch {
    return undefined;
  }
}
