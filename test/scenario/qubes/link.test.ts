// dom0 and a backup qube, as far as the stand-in for qrexec is one: which service is called for what, and what a user
// is told when it cannot be (G1, G4, W13).

import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Random } from '../../fixtures/random.ts';
import { placesOf, type Places } from '../../fixtures/qubes/places.ts';
import type { QubesSystem } from '../../fixtures/qubes/system.ts';
import { errorDocument, sendDocument } from '../documents.ts';
import { writeAt } from '../edits.ts';
import { ground } from '../mounts.ts';
import { BackupSystem, only } from '../backup-system.ts';
import { VAULT } from '../link.ts';

const plain = ground('plain');

interface OverQrexec {
  readonly lab: BackupSystem;
  readonly system: QubesSystem;
  readonly vault: Places;
}

function overQrexec(t: TestContext, more = ''): OverQrexec {
  const lab = new BackupSystem(t, {
    link: 'qubes',
    more,
    pools: [{ name: 'main', type: 'file', path: plain.folder() }],
  });
  const system = lab.qubes!;
  return { lab, system, vault: placesOf(system.folder, VAULT) };
}

/** The services that a command calls. */
async function calledBy({ lab, system }: OverQrexec, ...args: string[]): Promise<string[]> {
  const before = system.calls().length;
  (await lab.run(args)).expect(0);
  return system
    .calls()
    .slice(before)
    .map(([vm, command]) => `${vm} ${command}`);
}

async function failing({ lab }: OverQrexec, env: NodeJS.ProcessEnv = {}): Promise<{ message: string; hint: string }> {
  const { error } = (await lab.run(['list', '--json'], { env })).expect(5).json(errorDocument);
  return { message: error.message, hint: error.hint ?? '' };
}

test('W13 each command calls the service that may do it, for its archive only, past a login shell’s banner', async (t) => {
  const random = new Random('services');
  const over = overQrexec(t);
  const { lab, vault } = over;
  writeFileSync(join(vault.home, '.profile'), 'echo "Welcome to the SPBK vault."; printf "SPBK\\r\\n"\n');
  lab.write('a.img', random.bytes(1_000_000));
  const passphrase = join(lab.folder, 'passphrase');
  const calling = (service: string) => [`vault DEFAULT:QUBESRPC sparsebak.${service}+laptop dom0`];
  assert.deepEqual(await calledBy(over, 'init', '--passphrase-file', passphrase), calling('Receive'));
  assert.deepEqual(await calledBy(over, 'send', '--full'), calling('Receive'));
  for (const args of [['list'], ['verify'], ['restore', 'a.img', '--to', join(lab.folder, 'x')], ['key', 'list']]) {
    assert.deepEqual(await calledBy(over, ...args), calling('Retrieve'), args.join(' '));
  }
  assert.deepEqual(await calledBy(over, 'key', 'add', 'more', '--passphrase-file', passphrase), calling('Receive'));
  assert.deepEqual(await calledBy(over, 'key', 'remove', 'more', '--yes'), calling('Maintain'));
  assert.deepEqual(await calledBy(over, 'monitor'), []);
  assert.ok(readFileSync(join(lab.folder, 'x')).equals(readFileSync(lab.path('a.img'))));
});

test('qvm-run calls as well where the configuration says so', async (t) => {
  const random = new Random('qvm-run');
  const { lab } = overQrexec(t, 'qubes_client = "qvm-run"');
  lab.write('a.img', random.bytes(3_000_000));
  await lab.init('--chunk-size', '64K');
  await lab.send('--full');
  writeAt(lab.path('a.img'), 500_000, random.bytes(10));
  assert.equal(only((await lab.send()).volumes, 'a.img').chunks, 1);
  await lab.compareAll();
  lab.configure('qubes_client = "ssh"');
  assert.match((await lab.run(['list'])).expect(2).stderr, /qubes_client/);
});

for (const client of ['qrexec-client', 'qvm-run']) {
  test(`W7 a job of the qube’s profile that keeps the output open for ever costs no command its result (${client})`, async (t) => {
    const over = overQrexec(t, `qubes_client = "${client}"`);
    const { lab, vault } = over;
    // As an ssh-agent or a notifier that somebody starts there: it has the service's own output.
    writeFileSync(join(vault.home, '.profile'), 'sleep 1000 &\n');
    lab.write('a.img', new Random('a job in the profile').bytes(1_000_000));
    await lab.init('--chunk-size', '64K');
    await lab.send('--full');
    writeAt(lab.path('a.img'), 0, Buffer.from('changed'));
    await lab.send();
    await lab.compareAll();
    assert.deepEqual(
      over.system.processes().filter(({ command }) => /qrexec-client|qvm-run/.test(command)),
      [],
    );
  });
}

describe('a qube', () => {
  test('that is halted is started; one that does not start is a sentence', async (t) => {
    const over = overQrexec(t);
    const { lab, system } = over;
    await lab.init();
    await system.kill(VAULT);
    await lab.list();
    await system.kill(VAULT);
    system.set(VAULT, { broken: "not enough memory to start domain 'vault'" });
    const broken = await failing(over);
    assert.match(broken.message, /^qubes:\/\/vault: the qube could not be started: .*not enough memory/);
    assert.match(broken.hint, /qvm-start vault/);
    lab.configure('', 'qubes://nobody');
    assert.match((await failing(over)).message, /nobody.*no such domain/);
  });

  test('G4 that takes long to start is not waited for after ^C', async (t) => {
    const { lab } = overQrexec(t);
    lab.write('a.img', Buffer.alloc(1000, 1));
    await lab.init();
    const bin = join(lab.folder, 'slow');
    const began = join(lab.folder, 'began');
    mkdirSync(bin);
    writeFileSync(join(bin, 'qvm-start'), `#!/bin/sh\n: > "${began}"\nexec sleep 100\n`);
    chmodSync(join(bin, 'qvm-start'), 0o755);
    for (const command of ['list', 'send']) {
      const { child, ended } = lab.start([command], { env: { PATH: `${bin}:${lab.env.PATH ?? ''}` } });
      for (let there = false; !there;) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        there = rmIfThere(began);
      }
      child.kill('SIGINT');
      (await ended).expect(130);
    }
  });
});

function rmIfThere(file: string): boolean {
  try {
    rmSync(file);
    return true;
  } catch {
    return false;
  }
}

describe('what qrexec says by its exit code', () => {
  test('125, 126, 127, 128 + N: a sentence with the next step', async (t) => {
    const over = overQrexec(t);
    const { lab, system, vault } = over;
    await lab.init();
    const service = join(vault.root, 'usr/local/etc/qubes-rpc/sparsebak.Retrieve');
    const text = readFileSync(service);
    const asService = async (script: string | undefined, mode = 0o755) => {
      rmSync(service, { force: true });
      if (script !== undefined) writeFileSync(service, `#!/bin/sh\n${script}\n`, { mode });
      return await failing(over);
    };
    const none = await asService(undefined);
    assert.match(none.message, /^qubes:\/\/vault: qube vault has no service sparsebak\.Retrieve/);
    assert.match(none.hint, /install-qubes\.md/);
    const noNode = await asService('exec /usr/bin/env -i no-node-anywhere');
    assert.match(noNode.message, /finds no receiver, or no node to run it with \(exit status 127; .*no-node-anywhere/);
    assert.match(noNode.hint, /Node 20/);
    const noFile = await asService(`exec "${process.execPath}" /usr/lib/no-such/sparsebak-receiver.js`);
    assert.match(
      noFile.message,
      /finds no receiver, .*exit status 1; it said: Error: Cannot find module '\/usr\/lib\/no-such/,
    );
    // The real one, with what it starts missing.
    const withoutNode = text.toString().replace(':/usr/bin:/bin', ':/nowhere').replace('#!/bin/sh\n', '');
    renameSync(join(vault.root, 'usr/local/bin/node'), join(vault.root, 'node'));
    assert.match((await asService(withoutNode)).message, /127; it said: there is no node in .* in this qube/);
    renameSync(join(vault.root, 'node'), join(vault.root, 'usr/local/bin/node'));
    const file = join(vault.root, 'usr/local/lib/sparsebak/sparsebak-receiver.js');
    renameSync(file, `${file}.away`);
    assert.match(
      (await asService(withoutNode)).message,
      /127; it said: there is no .*sparsebak-receiver\.js in this qube/,
    );
    renameSync(`${file}.away`, file);
    const mayNot = join(vault.home, 'not-executable');
    writeFileSync(mayNot, '#!/bin/sh\n', { mode: 0o644 });
    assert.match(
      (await asService(`exec "${mayNot}"`)).message,
      /may not execute its receiver \(exit status 126; .*not-exec/,
    );
    const killed = await asService('kill -KILL $$');
    assert.match(killed.message, /was ended by SIGKILL/);
    assert.match(killed.hint, /memory.*Nothing that was committed is lost/);
    const notExecutable = await asService('exit 0', 0o644);
    assert.match(notExecutable.message, /qrexec has no connection to qube vault \(exit status 125\)/);
    assert.match(notExecutable.hint, /qvm-ls vault/);
    assert.match(notExecutable.hint, /its journal/);
    assert.match((await asService('exit 0')).message, /ended early \(exit status 0\)/);
    assert.match((await asService('echo out of luck >&2; exit 9')).message, /exit status 9; it said: out of luck/);
    assert.match((await asService("head -c 100000 /dev/zero | tr '\\0' x")).message, /magic/);
    writeFileSync(service, text);
    system.set(VAULT, { connect: 'refused' });
    const refused = await failing(over);
    assert.match(refused.message, /the call of sparsebak\.Retrieve in qube vault was refused/);
    assert.match(refused.hint, /policy does not matter/);
    system.set(VAULT, {});
    await lab.list();
  });

  test('nothing at all where there is no dom0', async (t) => {
    const over = overQrexec(t);
    const { lab, system } = over;
    await lab.init();
    const nowhere = join(lab.folder, 'nowhere');
    mkdirSync(nowhere);
    const noStart = await failing(over, { PATH: nowhere });
    assert.match(noStart.message, /^qubes:\/\/vault: there is no qvm-start here/);
    assert.match(noStart.hint, /only in dom0/);
    rmSync(join(system.bin, 'qrexec-client'));
    assert.match((await failing(over)).message, /there is no qrexec-client here/);
  });

  test('255, or a client that was killed, in the middle of a send: exit 5, and all that was committed is there', async (t) => {
    const random = new Random('broken off');
    const over = overQrexec(t);
    const { lab, system } = over;
    lab.write('a.img', random.bytes(1_000_000));
    await lab.init('--chunk-size', '64K');
    await lab.send('--full');
    writeAt(lab.path('a.img'), 0, random.bytes(500_000));
    const reached = join(lab.folder, 'reached');
    const hold = { from: 'agent', what: 'page', action: 'hold', reached, go: join(lab.folder, 'never') } as const;
    const { ended } = lab.start(['send', '--json'], lab.interposed(hold));
    while (!rmIfThere(reached)) await new Promise((resolve) => setTimeout(resolve, 10));
    await system.kill(VAULT);
    const { error, volumes } = (await ended).expect(5).json(sendDocument);
    assert.match(error?.message ?? '', /the connection to qube vault broke/);
    assert.deepEqual(
      volumes.map(({ kind }) => kind),
      ['failed'],
    );
    assert.deepEqual(system.services(VAULT), []);
    await lab.send();
    await lab.compareAll();
    lab.assertNothingStray();
  });

  test('2, of a receiver whose configuration is wrong, or not there: what is wrong, and in which file', async (t) => {
    const over = overQrexec(t);
    const { lab, vault } = over;
    await lab.init();
    const file = join(vault.root, 'rw/config/sparsebak/receiver.toml');
    for (const [text, said] of [
      ['root = [', /receiver\.toml is not TOML, line 1\. Correct the configuration[^()]*\)$/],
      ['root = "relative"', /root: not an absolute path\. Correct[^()]*\)$/],
      [`root = "${lab.root}"\nmin_kep = 3`, /min_kep: there is no such field\. Correct[^()]*\)$/],
      [`root = "${lab.root}"\nmin_keep = 0`, /min_keep: /],
      [undefined, /cannot read .*receiver\.toml: ENOENT\. Correct[^()]*\)$/],
    ] as const) {
      if (text === undefined) rmSync(file);
      else writeFileSync(file, text);
      const { message, hint } = await failing(over);
      assert.match(message, /^qubes:\/\/vault: the receiver in qube vault does not start/);
      assert.match(message, said);
      assert.match(hint, /receiver\.toml in that qube/);
    }
  });

  test('what its receiver says on standard error is in the qube’s journal, too', async (t) => {
    const over = overQrexec(t);
    const { lab, system, vault } = over;
    await lab.init();
    appendFileSync(join(vault.root, 'rw/config/sparsebak/receiver.toml'), 'callers = ["sys-backup"]\n');
    assert.match((await failing(over)).message, /qube dom0 may not call this receiver/);
    assert.match(system.journal(VAULT), /qube dom0 may not call/);
  });
});
