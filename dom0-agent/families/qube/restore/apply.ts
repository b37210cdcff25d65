/** Carries out one change of a qube's settings. */
import type { Qubesd } from '../../../qubes/qubesd.ts';
import { QubesdRefusal } from '../../../qubes/socket.ts';
import { describeChange, type Change } from './changes.ts';
import type { Remark } from './wanted.ts';

/**
 * @returns what qubesd refused, for the user; undefined: it is done
 * @throws SparsebakError `source` if qubesd does not answer
 */
export async function applyChange(qubesd: Qubesd, qube: string, change: Change): Promise<Remark | undefined> {
  try {
    return await carryOut(qubesd, qube, change);
  } catch (error) {
    if (!(error instanceof QubesdRefusal)) throw error;
    if (change.kind === 'set firewall') return await closeFirewall(qubesd, qube, error);
    return { about: describeChange(change), message: `qubesd refused: ${error.message}`, needsUser: true };
  }
}

async function carryOut(qubesd: Qubesd, qube: string, change: Change): Promise<Remark | undefined> {
  switch (change.kind) {
    case 'template':
    case 'label':
      await qubesd.setProperty(qube, change.kind, change.value);
      return undefined;
    case 'set property':
      await qubesd.setProperty(qube, change.name, change.value);
      return undefined;
    case 'reset property':
      await qubesd.resetProperty(qube, change.name);
      return undefined;
    case 'set feature':
      await qubesd.setFeature(qube, change.name, change.value);
      return undefined;
    case 'remove feature':
      await qubesd.removeFeature(qube, change.name);
      return undefined;
    case 'set tag':
      await qubesd.setTag(qube, change.tag);
      return undefined;
    case 'remove tag':
      await qubesd.removeTag(qube, change.tag);
      return undefined;
    case 'set firewall':
      await qubesd.setFirewall(qube, change.rules);
      return undefined;
    case 'set notes':
      await qubesd.setNotes(qube, change.text);
      return undefined;
    case 'remove notes':
      return { about: 'notes', message: 'Qubes cannot remove notes: the present ones stay', needsUser: true };
    case 'assign':
      await qubesd.assign(qube, change.device.class, change.device);
      return undefined;
    case 'unassign':
      await qubesd.unassign(qube, change.device.class, change.device.device);
      return undefined;
  }
}

const NOTHING = ['action=drop'];

/** A qube whose rules cannot be set must not have an open network instead. */
async function closeFirewall(qubesd: Qubesd, qube: string, { message }: QubesdRefusal): Promise<Remark> {
  const about = 'firewall';
  try {
    await qubesd.setFirewall(qube, NOTHING);
    return {
      about,
      message: `qubesd refused the saved rules (${message}): all connections are blocked instead`,
      needsUser: true,
    };
  } catch (error) {
    if (!(error instanceof QubesdRefusal)) throw error;
    return { about, message: `qubesd refused the saved rules: ${message}`, needsUser: true };
  }
}
