/**
 * A call to an archive: the receiver is started, greeted and asked for the archive, which must be the one that this
 * dom0's key is for. Everything that reads or writes an archive begins here.
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
import { Pin, type Pinned } from './pin.ts';
import { ProvenReader } from './proven-reader.ts';

export interface OpenArchive {
  readonly client: ReceiverClient;
  readonly state: ArchiveState;
  readonly pin: Pin;
  readonly reader: ProvenReader;
  readonly pinned: Pinned;
  /** The receiver's own: no content, so its word counts. */
  readonly rules: ReceiverRules;
  /** The user takes the archive as it is, whatever the pin says. */
  readonly acceptRollback: boolean;
  /**
   * What is wrong with the archive's own catalogue, where it was not put back; `pinned` is then what this dom0 knows.
   */
  readonly catalogueFault: SparsebakError | undefined;
}

export interface ReceiverRules {
  /** So many of a volume's newest sessions are never pruned. */
  readonly minKeep: number;
  readonly allowDelete: boolean;
}

export interface OpenOptions {
  /** Over qrexec the receiver refuses what goes beyond it. */
  readonly purpose: Purpose;
  /** Seconds to wait for another process's lock. */
  readonly lockWait: number;
  readonly acceptRollback?: boolean;
  /** The user takes over an archive that another computer wrote to as well. */
  readonly acceptFork?: boolean;
  /** The caller holds the archive's lock, and may settle the pin. */
  readonly writes?: boolean;
  readonly signal: AbortSignal;
  /** Told what is waited for when the receiver takes its time. */
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
 * @param connecting a call that was begun already, while other things were done
 * @throws `not-found`, `rollback`, `integrity`, `refused` where the receiver does not grant the purpose, and whatever
 *   the connection fails with
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

/** A request without which a purpose is none, and what the purpose is in words. */
const NEEDS: Readonly<Record<Purpose, { readonly request: AgentRequest['t']; readonly verb: string }>> = {
  retrieve: { request: 'get-volumes', verb: 'read the archive' },
  receive: { request: 'put-catalogue', verb: 'write to the archive' },
  maintain: { request: 'protect', verb: 'prune, delete, rename or protect' },
};

/** Before anything is begun that the receiver would refuse half-way. */
function refuseUngranted({ grant, destination }: ReceiverClient, purpose: Purpose): void {
  const { request, verb } = NEEDS[purpose];
  if (GRANTED[grant].has(request)) return;
  throw new SparsebakError(
    'refused',
    `${destination}: this connection may not ${verb}: the receiver's side limits it to the grant "${grant}"`,
    {
      hint:
        'Do it on the receiver\'s computer (see "sparsebak-receiver --help"), or allow it there: --grant in ' +
        'its service or forced command.',
    },
  );
}

/** Sessions of a volume that a catalogue need not know of yet: of sends that were cut off. */
const MOST_UNCATALOGUED = 64;

/** Every session took a sequence of its own. */
function mostSessions(state: ArchiveState, { catalogue }: Pinned): number {
  return Math.max(catalogue.sequence, state.burnedSequence) + MOST_UNCATALOGUED;
}

function refuseUnfinished({ name }: ArchiveConfig, { settings }: ArchiveState): void {
  if (!settings.creating) return;
  throw new SparsebakError('config', `"sparsebak init" of archive ${name} did not finish`, {
    hint: 'Run "sparsebak init" again; it goes on where it was.',
  });
}

/** dom0 knows the archive: that it is not there is as bad as an older one. */
async function openKnown(client: ReceiverClient, archive: ArchiveConfig, lockWait: number): Promise<Closing> {
  try {
    return await client.request({ t: 'open', archive: archive.name, lockWait });
  } catch (error) {
    if (!(error instanceof SparsebakError) || error.code !== 'not-found') throw error;
    throw new SparsebakError('rollback', `${client.destination} does not have the archive "${archive.name}"`, {
      hint:
        'Look whether the destination or the backup disk is the right one. If an empty disk took the place of a ' +
        'lost one, ' +
        '"sparsebak init" makes a new archive of that name, and keeps what this computer knows of the old one.',
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
          'Look whether the destination or the backup disk is the right one. To use the archive that is there, run ' +
          '"sparsebak key unlock --again": what this computer knows of the other is kept.',
      },
    );
  }
  client.setChunkSize(record.chunkSize);
  const { minKeep, allowDelete } = opened;
  return { minKeep, allowDelete };
}
