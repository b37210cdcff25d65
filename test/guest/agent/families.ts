// In the place of families.ts: the commands on qubes in the agent's own process, where they have its receiver.

import { FAMILIES, isFamily, refuseMissingFamily, type Family } from '../../../dom0-agent/cli/families.ts';

export { FAMILIES, isFamily, refuseMissingFamily };

export async function loadFamily(command: string): Promise<Family | undefined> {
  return command === 'qube' ? await import('../../../dom0-agent/families/qube/main.ts') : undefined;
}
