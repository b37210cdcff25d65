/**
 * A receiver in another qube, called from dom0 over qrexec: the service, the calling program, and the meaning of its
 * exit codes.
 *
 * Policy is not evaluated for calls from dom0: the called service decides what the receiver allows.
 */
import { constants } from 'node:os';
import { systemCode } from '../../shared/errors.ts';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { describeEnd, NOTHING_LOST } from './describe-end.ts';
import type { LinkEnd, Purpose } from './link.ts';
import type { ProcessLinkOptions } from '../process/receiver-process.ts';
import { notInDom0 } from '../process/start-qube.ts';
import type { QubesClient } from './qubes-client.ts';

export interface QubesCall {
  readonly vm: string;
  readonly client: QubesClient;
  readonly purpose: Purpose;
  /** The only archive that the receiver opens in this call. */
  readonly archive: ArchiveName;
}

const SERVICES: Readonly<Record<Purpose, string>> = {
  receive: 'sparsebak.Receive',
  retrieve: 'sparsebak.Retrieve',
  maintain: 'sparsebak.Maintain',
};

/** Seconds for the qube to accept the call; it is already running. */
const CONNECT = 30;

export function qubesReceiver(call: QubesCall): ProcessLinkOptions {
  const { vm, client, purpose, archive } = call;
  const service = SERVICES[purpose];
  const full = `${service}+${archive}`;
  const args =
    client === 'qrexec-client'
      ? ['-d', vm, '-w', String(CONNECT), `DEFAULT:QUBESRPC ${full} dom0`]
      : // Without --no-gui it may wait endlessly for a session.
        ['--pass-io', '--service', '--no-gui', vm, full];
  return {
    name: `qubes://${vm}`,
    file: client,
    args,
    explain: (end) => explain(call, service, end),
    // It starts a client process, which would survive a signal to qvm-run alone.
    ownGroup: client === 'qvm-run',
  };
}

interface Explanation {
  readonly message: string;
  readonly hint: string;
}

function explain({ vm, client }: QubesCall, service: string, end: LinkEnd): Explanation {
  const how = describeEnd(end);
  const { status } = end;
  if (end.startError !== undefined) {
    if (systemCode(end.startError) === 'ENOENT') return notInDom0(client);
    return { message: `${client} ${how}`, hint: NOTHING_LOST };
  }
  if (status === null) return { message: `${client} was ended (${how})`, hint: NOTHING_LOST };
  const signal = signalOf(status);
  if (signal !== undefined) {
    return {
      message: `the receiver in qube ${vm} was ended by ${signal} (${how})`,
      hint: `If that was not intended, check whether the qube has enough memory, and its journal. ${NOTHING_LOST}`,
    };
  }
  // qrexec writes nothing about a missing service or a refused call: any output comes from the service.
  const started = end.stderr === '' ? undefined : ofStartedService(vm, service, status, end.stderr, how);
  return started ?? ofCall(vm, service, status, how);
}

/** Why a started service did not run a receiver; undefined if not known. */
function ofStartedService(
  vm: string,
  service: string,
  status: number,
  stderr: string,
  how: string,
): Explanation | undefined {
  // Node's exit status is not specific, but its message for a missing file is.
  if (status === 127 || (status === 1 && stderr.includes('Cannot find module'))) {
    return {
      message: `the service ${service} in qube ${vm} finds no receiver, or no node to run it with (${how})`,
      hint: 'Install the receiver, and Node 20 or newer, in the qube or its template (docs/install-qubes.md).',
    };
  }
  if (status === 126) {
    return {
      message: `the service ${service} in qube ${vm} may not execute its receiver (${how})`,
      hint: 'Check the mode of the file that it starts, and whether its file system allows running programs.',
    };
  }
  return undefined;
}

function ofCall(vm: string, service: string, status: number, how: string): Explanation {
  switch (status) {
    case 2:
      return {
        message: `the receiver in qube ${vm} does not start (${how})`,
        hint: 'Correct the cause that it reports: its configuration is receiver.toml in that qube (docs/cli.md).',
      };
    case 125:
      return {
        message: `qrexec has no connection to qube ${vm} (${how})`,
        hint:
          'Check whether it is running and not paused ("qvm-ls ' +
          `${vm}"); if so, its journal shows what is wrong with ${service} there.`,
      };
    case 126:
      return {
        message: `the call of ${service} in qube ${vm} was refused (${how})`,
        hint:
          'For calls from dom0, policy does not matter: check the journal of the qube, and whether ' +
          `${service} may be executed there.`,
      };
    case 127:
      return {
        message: `qube ${vm} has no service ${service} (${how})`,
        hint: 'Install the services there, or in its template (docs/install-qubes.md).',
      };
    case 255:
      return {
        message: `the connection to qube ${vm} broke (${how})`,
        hint: `Check whether the qube is still running ("qvm-ls ${vm}"). ${NOTHING_LOST}`,
      };
    default:
      return { message: `the receiver in qube ${vm} ended early (${how})`, hint: NOTHING_LOST };
  }
}

/** 128 + N: ended by signal N in the qube. */
function signalOf(status: number): string | undefined {
  return Object.entries(constants.signals).find(([, number]) => number === status - 128)?.[0];
}
