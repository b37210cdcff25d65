/**
 * Opens an archive: starts the receiver, greets it and asks for the archive, which must be the one of this dom0's key.
 * Everything that reads or writes an archive begins here.
 */
import type { Logger } from 'pino';
import { SparsebakError } from '../../shared/errors.ts';
import type { ArchiveConfig } from '../config/config.ts';
import type { OnWait } from '../link/call-watch.ts';
import { ReceiverClient } from '../link/client.ts';
import type { Closing } from '../link/due-answers.ts';
import type { Purpose } from '../link/link.ts';
import type { AgentRequest } from '../../shared/wire/messages.ts';
import { GRANTED } from '../../shared/wire/phases.ts';
import { openLink } from '../link/open-link.ts';
import { RELEASE } from '../../shared/release.ts';
import type { ArchiveState } from './archive-state.ts';
import { Pin } from './pin.ts';
import type { Pinned } from './pinned-file.ts';
import { ProvenReader } from './proven-reader.ts';

export interface OpenArchive {
  readonly client: ReceiverClient;
  readonly state: ArchiveState;
  readonly pin: Pin;
  readonly reader: ProvenReader;
  readonly pinned: Pinned;
  /** The receiver's own rules. They do not concern content, so they need no proof. */
  readonly rules: ReceiverRules;
  /** The user accepts the archive as it is, whatever the pin says. */
  readonly acceptRollback: boolean;
  /** Why the archive's own catalogue is not usable, unless it was put back; `pinned` is then this dom0's copy. */
  readonly catalogueFault: SparsebakError | undefined;
}

export interface ReceiverRules {
  /** How many of a volume's newest sessions are never pruned. */
  readonly minKeep: number;
  readonly allowDelete: boolean;
}

export interface OpenOptions {
  /** Over qrexec the receiver refuses everything beyond it. */
  readonly purpose: Purpose;
  /** Seconds to wait for another process's lock. */
  readonly lockWait: number;
  readonly acceptRollback?: boolean;
  /** The user also accepts an archive that another computer wrote to. */
  readonly acceptFork?: boolean;
  /** The caller holds the archive's lock, so the pin may be settled. */
  readonly writes?: boolean;
  readonly signal: AbortSignal;
  /** Called with the task when the receiver takes long. */
  readonly onWait?: OnWait;
  readonly log: Logger;
}

/** Starts the receiver and greets it. @throws `unreachable`, `protocol`, `refused`, `interrupted` */
export async function connect(
  { name, destination, qubesClient }: ArchiveConfig,
  { purpose, signal, onWait }: Pick<OpenOptions, 'purpose' | 'signal' | 'onWait'>,
): Promise<ReceiverClient> {
  const link = await openLink(destination, { purpose, archive: name, qubesClient, signal });
  return await ReceiverClient.connect(link, { release: RELEASE, signal, onWait });
}

/**
 * @param connecting a connection that was already started
 * @throws `not-found`, `rollback`, `integrity`, `refused` if the receiver does not grant the purpose, and any failure
 * of the connection
 */
export async function openArchive(
  archive: ArchiveConfig,
  state: ArchiveState,
  options: OpenOptions,
  connecting = connect(archive, options),
): Promise<OpenArchive> {
  const client = await connecting;
  try {
    refuseUngranted(client, options.purpose);
    refuseUnfinished(archive, state);
    const rules = await openNamed(client, archive, state, options.lockWait);
    const pin = new Pin(state);
    const { acceptRollback = false, acceptFork = false, writes = false } = options;
    const { pinned, damaged } = await pin.check(client, { settles: writes, acceptRollback, acceptFork });
    if (damaged?.repaired === true) options.log.warn(`${damaged.fault.message}; this computer's copy was put back`);
    const catalogueFault = damaged?.repaired === false ? damaged.fault : undefined;
    const reader = new ProvenReader(client, state.content, () => mostSessions(state, pinned));
    return { client, state, pin, pinned, rules, acceptRollback, catalogueFault, reader };
  } catch (error) {
    client.close();
    throw error;
  }
}

/** A request that each purpose requires, and the purpose in words. */
const NEEDS: Readonly<Record<Purpose, { readonly request: AgentRequest['t']; readonly verb: string }>> = {
  retrieve: { request: 'get-volumes', verb: 'read the archive' },
  receive: { request: 'put-catalogue', verb: 'write to the archive' },
  maintain: { request: 'protect', verb: 'prune, delete, rename or protect' },
};

/** Refuses before anything is started that the receiver would refuse in the middle. */
function refuseUngranted({ grant, destination }: ReceiverClient, purpose: Purpose): void {
  const { request, verb } = NEEDS[purpose];
  if (GRANTED[grant].has(request)) return;
  throw new SparsebakError(
    'refused',
    `${destination}: this connection may not ${verb}: the receiver's side limits it to the grant "${grant}"`,
    {
      hint:
        'Do it on the receiver\'s computer (see "sparsebak-receiver --help"), or allow it there with --grant in ' +
        'its service or forced command.',
    },
  );
}

/** How many sessions of a volume may be missing in the catalogue: those of interrupted sends. */
const MOST_UNCATALOGUED = 64;

/** Every session has taken a sequence number of its own. */
function mostSessions(state: ArchiveState, { catalogue }: Pinned): number {
  return Math.max(catalogue.sequence, state.burnedSequence) + MOST_UNCATALOGUED;
}

function refuseUnfinished({ name }: ArchiveConfig, { settings }: ArchiveState): void {
  if (!settings.creating) return;
  throw new SparsebakError('config', `"sparsebak init" of archive ${name} did not finish`, {
    hint: 'Run "sparsebak init" again; it continues where it stopped.',
  });
}

/** dom0 knows the archive: if it does not exist, that is as bad as a rollback. */
async function openKnown(client: ReceiverClient, archive: ArchiveConfig, lockWait: number): Promise<Closing> {
  try {
    return await client.request({ t: 'open', archive: archive.name, lockWait });
  } catch (error) {
    if (!(error instanceof SparsebakError) || error.code !== 'not-found') throw error;
    throw new SparsebakError('rollback', `${client.destination} does not have the archive "${archive.name}"`, {
      hint:
        'Check whether the destination and the backup disk are the right ones. If an empty disk replaced a ' +
        'lost one, ' +
        '"sparsebak init" creates a new archive of that name, and keeps what this computer knows of the old one.',
      cause: error,
    });
  }
}

async function openNamed(
  client: ReceiverClient,
  archive: ArchiveConfig,
  state: ArchiveState,
  lockWait: number,
): Promise<ReceiverRules> {
  const opened = await openKnown(client, archive, lockWait);
  if (opened.t !== 'opened') throw new SparsebakError('protocol', 'the receiver did not open the archive');
  const { record } = state;
  if (
    opened.archiveId !== record.archive ||
    opened.chunkSize !== record.chunkSize ||
    opened.encrypted !== record.encrypted
  ) {
    throw new SparsebakError(
      'rollback',
      `${client.destination} holds another archive under the name "${archive.name}"`,
      {
        hint:
          'Check whether the destination and the backup disk are the right ones. To use the archive that is there, ' +
          'run "sparsebak key unlock --again": what this computer knows of the other is kept.',
      },
    );
  }
  client.setChunkSize(record.chunkSize);
  const { minKeep, allowDelete } = opened;
  return { minKeep, allowDelete };
}
