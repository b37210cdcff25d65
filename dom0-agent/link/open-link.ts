/**
 * From a destination to a running receiver. Each kind defines how its process is started and what its exit statuses
 * mean.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { SparsebakError } from '../../shared/errors.ts';
import type { Destination } from './destination.ts';
import { describeEnd, NOTHING_LOST } from './describe-end.ts';
import type { Link, Purpose } from './link.ts';
import { openProcessLink, type ProcessLinkOptions } from '../process/receiver-process.ts';
import type { QubesClient } from './qubes-client.ts';

export interface CallOptions {
  readonly purpose: Purpose;
  readonly archive: ArchiveName;
  readonly qubesClient: QubesClient;
  readonly signal: AbortSignal;
}

/** @throws `unreachable` if the receiver's program is missing, or its qube does not start; `interrupted` */
export async function openLink(destination: Destination, options: CallOptions): Promise<Link> {
  switch (destination.kind) {
    case 'local':
      return openProcessLink(localReceiver(destination.root));
    case 'ssh': {
      const { sshReceiver } = await import('./ssh.ts');
      return openProcessLink(sshReceiver(destination));
    }
    case 'qubes': {
      const { startQube } = await import('../process/start-qube.ts');
      const { qubesReceiver } = await import('./qubes.ts');
      const { vm } = destination;
      const { purpose, archive, qubesClient: client, signal } = options;
      await startQube(vm, signal);
      return openProcessLink(qubesReceiver({ vm, client, purpose, archive }));
    }
  }
}

/** The receiver beside the agent: its bundle, or in development its source. Same Node, no PATH. */
function localReceiver(root: string): ProcessLinkOptions {
  const places = ['./sparsebak-receiver.js', '../../vm-receiver/main.ts'];
  const program = places
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((path) => existsSync(path));
  if (program === undefined) {
    throw new SparsebakError('unreachable', 'sparsebak-receiver.js is not beside sparsebak.js', {
      hint: 'Install both files in one folder, or use an "ssh://" destination.',
    });
  }
  return {
    name: `local:${root}`,
    file: process.execPath,
    args: [program, 'serve', '--root', root],
    explain: (end) => ({ message: `the local receiver ended early (${describeEnd(end)})`, hint: NOTHING_LOST }),
  };
}
