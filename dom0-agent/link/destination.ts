/**
 * Destinations as the user writes them: `qubes://VM`, `ssh://[user@]host[:port]/root/path`, `local:/root/path`.
 */
import { SparsebakError } from '../../shared/errors.ts';

export type Destination =
  | { readonly kind: 'local'; readonly root: string }
  | {
      readonly kind: 'ssh';
      readonly user?: string;
      readonly host: string;
      readonly port?: number;
      readonly root: string;
    }
  | { readonly kind: 'qubes'; readonly vm: string };

const LOCAL = /^local:(\/.*)$/;
const SSH =
  /^ssh:\/\/(?:([A-Za-z0-9._][A-Za-z0-9._-]*)@)?([A-Za-z0-9._][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?(\/.*)$/;
/** Any qube but dom0, which cannot be called. */
const QUBES = /^qubes:\/\/(?!dom0\/?$)([A-Za-z][A-Za-z0-9_-]{0,30})\/?$/;

/** @throws `config` for anything else */
export function parseDestination(text: string): Destination {
  const local = LOCAL.exec(text);
  if (local?.[1] !== undefined) return { kind: 'local', root: local[1] };
  const qubes = QUBES.exec(text);
  if (qubes?.[1] !== undefined) return { kind: 'qubes', vm: qubes[1] };
  const ssh = SSH.exec(text);
  if (ssh?.[2] !== undefined && ssh[4] !== undefined) {
    const port = ssh[3] === undefined ? undefined : Number(ssh[3]);
    if (port === undefined || (port > 0 && port < 65536)) {
      return {
        kind: 'ssh',
        ...(ssh[1] === undefined ? {} : { user: ssh[1] }),
        host: ssh[2].replace(/^\[|\]$/g, ''),
        ...(port === undefined ? {} : { port }),
        root: ssh[4],
      };
    }
  }
  throw new SparsebakError('config', `destination "${text}" is not supported`, {
    hint: 'Write "qubes://VM", "ssh://[user@]host[:port]/root/path" or "local:/root/path".',
  });
}
