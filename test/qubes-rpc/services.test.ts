// The three services as they are installed in a backup qube, called through the stand-in for qrexec (W13, S17, S1, S7,
// W9).

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Grant } from '../../shared/wire/grants.ts';
import type { Places } from '../fixtures/qubes/places.ts';
import { readServiceConfig } from '../fixtures/qubes/service-config.ts';
import { QubesSystem, pause } from '../fixtures/qubes/system.ts';
import { SERVICES, configureVault, installVault, type Receiver } from '../fixtures/qubes/vault.ts';
import { makeScratch } from '../fixtures/scratch.ts';
import { Peer, type PeerOptions } from '../vm-receiver/peer.ts';
import { CHUNK, VOLUME, bytes, sessionName, slotOf } from '../vm-receiver/store/small-volumes.ts';
import { CREATE, OPEN, begin } from '../vm-receiver/wire-session.ts';

const client = fileURLToPath(import.meta.resolve('../fixtures/qubes/qrexec-client.ts'));
const impatient = fileURLToPath(import.meta.resolve('../vm-receiver/fixtures/impatient.ts'));
const top = join(import.meta.dirname, '../..');

interface Vault {
  readonly system: QubesSystem;
  readonly places: Places;
  readonly archives: string;
  /** A scripted agent at the other end of a call. */
  readonly call: (service: string, caller?: string, options?: Partial<PeerOptions>) => Peer;
}

async function vaultFor(t: TestContext, receiver: Receiver = {}): Promise<Vault> {
  const system = new QubesSystem(makeScratch('qubes'));
  t.after(() => system.end());
  const places = system.addVm('vault');
  const archives = join(places.root, 'backup');
  mkdirSync(archives);
  installVault(places, receiver);
  configureVault(places, archives);
  await system.start('vault');
  const call: Vault['call'] = (service, caller = 'dom0', options = {}) =>
    new Peer({
      ...options,
      program: client,
      args: [system.folder, '-d', 'vault', `DEFAULT:QUBESRPC ${service} ${caller}`],
    });
  return { system, places, archives, call };
}

async function noServiceLeft(system: QubesSystem): Promise<void> {
  while (system.services('vault').length > 0) await pause();
}

describe('each service', () => {
  const grants: Record<(typeof SERVICES)[number], Grant> = {
    'sparsebak.Receive': 'receive',
    'sparsebak.Retrieve': 'retrieve',
    'sparsebak.Maintain': 'maintain',
  };

  test('gives its own grant, which the receiver enforces', async (t) => {
    const { call, system } = await vaultFor(t);
    const first = call('sparsebak.Receive+laptop');
    await first.greet();
    await first.done(CREATE);
    await first.bye();
    for (const [service, grant] of Object.entries(grants)) {
      const peer = call(`${service}+laptop`);
      const hello = await peer.greet();
      assert.ok(hello?.t === 'hello' && hello.grant === grant, service);
      await peer.done(OPEN);
      const may = async (request: Parameters<Peer['request']>[0]) => {
        const { closing } = await peer.request(request);
        return closing.t !== 'error' || closing.code !== 'refused';
      };
      assert.ok(await may({ t: 'get-volumes' }));
      assert.equal(await may({ t: 'drop-slot', name: 'other' }), grant === 'maintain');
      assert.equal(await may({ t: 'rename', volume: VOLUME, name: 'new' }), grant === 'maintain');
      assert.equal(await may({ t: 'put-slot', name: 'new', data: slotOf('n') }), grant !== 'retrieve');
      // One that is there may be put again as it is, and replaced only for maintenance.
      assert.equal(await may({ t: 'put-slot', name: 'new', data: slotOf('n') }), grant !== 'retrieve');
      assert.equal(await may({ t: 'put-slot', name: 'new', data: slotOf('other') }), grant === 'maintain');
      assert.equal(await may(begin()), grant === 'receive');
      await peer.hangUp();
    }
    await noServiceLeft(system);
  });

  test('is one command of a few lines, and says nothing itself unless it cannot be started', () => {
    for (const service of SERVICES) {
      const lines = readFileSync(join(top, 'qubes-rpc/services', service), 'utf8').split('\n');
      const code = lines.filter((line) => line !== '' && !line.startsWith('#')).join('\n');
      assert.ok(lines.length < 20, service);
      assert.equal(lines[0], '#!/bin/sh');
      assert.match(code, new RegExp(`\\nexec /usr/bin/env -i [^]* serve --grant ${grants[service]}$`));
      for (const told of code.match(/echo .*/g) ?? []) assert.match(told, />&2; exit 127; }$/);
      assert.doesNotMatch(code, /\$@|\$\*|\$1|eval|`/);
    }
  });

  test('has settings that qrexec takes', () => {
    for (const service of SERVICES) {
      assert.deepEqual(readServiceConfig(join(top, 'qubes-rpc/rpc-config', service)), { forceUser: 'user' });
    }
  });
});

describe('a call', () => {
  test('of another qube than dom0 is refused, whatever policy said', async (t) => {
    const { call } = await vaultFor(t);
    for (const caller of ['sys-net', 'dom00', 'Dom0', '@adminvm', 'untrusted']) {
      const peer = call('sparsebak.Retrieve+laptop', caller);
      const answer = await peer.greet();
      assert.ok(answer?.t === 'error' && answer.re === 0 && answer.code === 'refused', caller);
      assert.match(answer.message, new RegExp(`qube ${caller} may not call`));
      assert.equal((await peer.ended).code, 5);
    }
  });

  test('has an argument that is an archive’s name, or is refused', async (t) => {
    const { call, archives } = await vaultFor(t);
    const wrong = [
      ...['', '-x', '--root=/', '.', '..', '../laptop', '/etc/passwd', 'a/b', 'Laptop', 'lap+top', 'lap..top'],
      ...['$(id)', 'laptop;id', '\u001b[2J', 'ü', 'x'.repeat(64), 'x'.repeat(3000)],
    ];
    for (const argument of wrong) {
      const peer = call(`sparsebak.Receive+${argument}`);
      const answer = await peer.greet();
      assert.ok(answer?.t === 'error' && answer.code === 'refused', argument);
      assert.match(answer.message, /^the service’s argument is not an archive’s name: [ -~ü…]{0,100}$/);
      assert.equal((await peer.ended).code, 5);
    }
    assert.deepEqual(readdirSync(archives), []);
  });

  test('opens the archive that its argument names and no other; without one any', async (t) => {
    const { call } = await vaultFor(t);
    const other = call('sparsebak.Receive+desktop');
    await other.greet();
    const { closing } = await other.request(CREATE);
    assert.ok(closing.t === 'error' && closing.code === 'refused');
    assert.match(closing.message, /this call is for archive desktop, .* not for laptop$/);
    assert.equal(await other.refused(OPEN), 'refused');
    await other.bye();
    const any = call('sparsebak.Receive');
    await any.greet();
    await any.done(CREATE);
    await any.done(OPEN);
    assert.equal((await any.bye()).code, 0);
  });

  test('S17 S1 S7 writes nothing where the disk is not mounted, or too full', async (t) => {
    const { call, places, archives } = await vaultFor(t);
    for (const [more, code] of [
      ['require_mount = true', 'not-mounted'],
      [`min_free_bytes = ${String(Number.MAX_SAFE_INTEGER)}`, 'no-space'],
      [`min_free_inodes = ${String(Number.MAX_SAFE_INTEGER)}`, 'no-space'],
    ] as const) {
      configureVault(places, archives, more);
      const peer = call('sparsebak.Receive+laptop');
      await peer.greet();
      assert.equal(await peer.refused(CREATE), code);
      await peer.hangUp();
      assert.deepEqual(readdirSync(archives), [], code);
    }
  });
});

describe('whatever the login shell does', () => {
  const profiles: Record<string, string> = {
    'prints much': 'i=0; while [ $i -lt 1000 ]; do echo "SPBK welcome to the vault, line $i"; i=$((i+1)); done',
    'has another PATH and locale': 'export PATH=/nowhere LC_ALL=tr_TR.UTF-8 LANG=C; umask 0077',
    'has settings for node':
      "export NODE_OPTIONS='--no-such-option' NODE_PATH=/nowhere NODE_DEBUG=net NODE_V8_COVERAGE=/",
    'goes elsewhere': 'cd /; set -eu; trap "echo bye" EXIT',
    complains: 'echo "cannot do that" >&2; no-such-command',
  };
  for (const [what, profile] of Object.entries(profiles)) {
    test(`it ${what}: the receiver is served`, async (t) => {
      const { call, places, system } = await vaultFor(t);
      writeFileSync(join(places.home, '.profile'), `${profile}\n`);
      for (const loginShell of [true, false]) {
        system.set('vault', { loginShell });
        const peer = call('sparsebak.Receive+laptop');
        const hello = await peer.greet();
        assert.equal(hello?.t, 'hello');
        await peer.done(CREATE);
        const { code, stderr } = await peer.bye();
        assert.equal(code, 0);
        if (what !== 'complains') assert.equal(stderr, '');
      }
    });
  }
});

test('W9 a receiver that is blocked writing, its input full, ends by itself when its caller was killed', async (t) => {
  const { call, system } = await vaultFor(t, { program: impatient, args: ['--silence', '4000'] });
  const writer = call('sparsebak.Receive+laptop');
  await writer.greet();
  await writer.done(CREATE);
  await writer.done(OPEN);
  await writer.done(begin());
  for (let chunk = 0; chunk < 30; chunk++) {
    await writer.push({ t: 'chunk', address: chunk * CHUNK, data: Buffer.alloc(100_000, chunk) });
  }
  await writer.done({ t: 'commit', head: bytes('h') });
  await writer.bye();
  const peer = call('sparsebak.Retrieve+laptop');
  await peer.greet();
  await peer.done(OPEN);
  peer.pause();
  const addresses = Array.from({ length: 30 }, (_, chunk) => chunk * CHUNK);
  // Far more questions than the receiver reads ahead, so that its input fills up as well.
  for (let question = 0; question < 6000; question++) {
    peer.ask({ t: 'get-chunks', volume: VOLUME, session: sessionName(1), addresses });
  }
  while (!(await system.isBlocked('vault'))) await pause();
  peer.child.kill('SIGKILL');
  await noServiceLeft(system);
  while (system.journal('vault') === '') await pause();
  // qrexec would have left it there for good: stand-in.test.ts.
  assert.match(system.journal('vault'), /the agent took nothing for 4 s/);
});
