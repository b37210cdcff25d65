/**
 * A receiver on another host, by the user's own ssh. That host is not trusted, so nothing of this one is forwarded to
 * it, whatever the user's ssh_config says: no agent, no display, no port, no ticket.
 */
import { systemCode } from '../../shared/errors.ts';
import { describeEnd, NOTHING_LOST } from './describe-end.ts';
import type { Destination } from './destination.ts';
import type { LinkEnd } from './link.ts';
import type { ProcessLinkOptions } from '../process/receiver-process.ts';

type SshDestination = Extract<Destination, { kind: 'ssh' }>;

/** Options on the command line take precedence over configuration files. They require OpenSSH 7.6 or newer. */
const OPTIONS = [
  // With the agent of this host it could log in wherever the user can.
  'ForwardAgent=no',
  'ForwardX11=no',
  'ClearAllForwardings=yes',
  'Tunnel=no',
  // A configured command, here or there, would write into the stream, or replace the receiver.
  'PermitLocalCommand=no',
  'RemoteCommand=none',
  // A shared connection may have been opened with forwardings, and another program can end it.
  'ControlMaster=no',
  'ControlPath=none',
  'BatchMode=yes',
  'ConnectTimeout=20',
  'ServerAliveInterval=15',
  'ServerAliveCountMax=4',
];

export function sshReceiver({ user, host, port, root }: SshDestination): ProcessLinkOptions {
  const where = user === undefined ? host : `${user}@${host}`;
  return {
    name: `ssh://${where}${port === undefined ? '' : `:${port}`}${root}`,
    file: 'ssh',
    args: [
      // No terminal, no agent, no display, no Kerberos ticket (as a flag, since ssh without Kerberos refuses the
      // option).
      ...['-T', '-a', '-x', '-k'],
      ...OPTIONS.flatMap((option) => ['-o', option]),
      ...(port === undefined ? [] : ['-p', String(port)]),
      '--',
      where,
      `exec sparsebak-receiver serve --root ${shellQuote(root)}`,
    ],
    explain: (end) => explain(where, end),
  };
}

function explain(where: string, end: LinkEnd): { message: string; hint: string } {
  const how = describeEnd(end);
  if (end.startError !== undefined) {
    return systemCode(end.startError) === 'ENOENT'
      ? {
          message: 'there is no ssh here',
          hint: 'Install the client of OpenSSH, or check the PATH with which sparsebak is started.',
        }
      : { message: `ssh ${how}`, hint: NOTHING_LOST };
  }
  if (end.status === 255) {
    return {
      message: `ssh to ${where} failed (${how})`,
      hint:
        'Check that "ssh -o BatchMode=yes ' +
        `${where} true" works without a question, as the user that runs sparsebak.`,
    };
  }
  if (end.status === 127) {
    return {
      message: `${where} has no sparsebak-receiver in the PATH of a login by ssh, or no node to run it with (${how})`,
      hint: 'Install both there (docs/install-linux.md).',
    };
  }
  if (end.status === 126) {
    return {
      message: `sparsebak-receiver on ${where} may not be executed (${how})`,
      hint: 'Check its mode, and whether its file system allows running programs.',
    };
  }
  return {
    message: `the receiver on ${where} ended early (${how})`,
    hint: NOTHING_LOST,
  };
}

/** Quotes any text as one word for sh. */
function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
