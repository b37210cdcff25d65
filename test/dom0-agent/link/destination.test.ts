import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseDestination, type Destination } from '../../../dom0-agent/link/destination.ts';

const good: Record<string, Destination> = {
  'local:/srv/backup': { kind: 'local', root: '/srv/backup' },
  'local:/with space/and: colon': { kind: 'local', root: '/with space/and: colon' },
  'qubes://sparsebak-vault': { kind: 'qubes', vm: 'sparsebak-vault' },
  'qubes://vault/': { kind: 'qubes', vm: 'vault' },
  'qubes://dom00': { kind: 'qubes', vm: 'dom00' },
  'ssh://host/srv/backup': { kind: 'ssh', host: 'host', root: '/srv/backup' },
  'ssh://me@host.example:2222/srv/b': { kind: 'ssh', user: 'me', host: 'host.example', port: 2222, root: '/srv/b' },
  'ssh://[2001:db8::1]:22/b': { kind: 'ssh', host: '2001:db8::1', port: 22, root: '/b' },
  "ssh://host/it's $HOME;rm": { kind: 'ssh', host: 'host', root: "/it's $HOME;rm" },
};

const bad = [
  '',
  'local:relative',
  'local:',
  '/srv/backup',
  'qubes://',
  'qubes://-vault',
  'qubes://a/b',
  'qubes://1vault',
  'qubes://dom0',
  'ssh://host',
  'ssh://-oProxyCommand=evil/x',
  'ssh://-l@host/x',
  'ssh://host:0/x',
  'ssh://host:65536/x',
  'ssh://ho st/x',
  'ssh://user@@host/x',
  'ftp://host/x',
  'LOCAL:/x',
];

describe('a destination', () => {
  for (const [text, expected] of Object.entries(good)) {
    it(`may be ${text}`, () => assert.deepEqual(parseDestination(text), expected));
  }
  for (const text of bad) {
    it(`may not be "${text}"`, () => {
      assert.throws(() => parseDestination(text), { code: 'config', exitStatus: 2, hint: /qubes:.*ssh:.*local:/ });
    });
  }
});
