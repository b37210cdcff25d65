// Over a real ssh: a server of our own on 127.0.0.1, whose login shell greets, and a receiver found through its PATH.

import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { once } from 'node:events';
import { after, before, describe, test, type TestContext } from 'node:test';
import { Random } from '../fixtures/random.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { writeAt } from './edits.ts';
import { errorDocument } from './documents.ts';
import { ground } from './mounts.ts';
import { BackupSystem, only } from './backup-system.ts';
import { RECEIVER } from './program.ts';

const plain = ground('plain');

function program(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

const missing = ['sshd', 'ssh', 'ssh-keygen', 'ssh-agent', 'ssh-add'].filter((name) => program(name) === undefined);
const skip = missing.length > 0 ? `machine: no ${missing.join(', ')}` : false;

/** Our server, and an environment in which `ssh` knows it and its key. */
interface Server {
  readonly port: number;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly process: ChildProcess;
}

let server: Server | undefined;

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  listener.close();
  await once(listener, 'close');
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}

/**
 * @param forced what every login runs in place of what it asks for; without it sshd does what a line of its key says
 */
async function startServer(forced = true): Promise<Server> {
  const folder = makeScratch('sshd');
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  for (const key of ['host', 'user'])
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, key)]);
  writeFileSync(join(folder, 'authorized'), readFileSync(join(folder, 'user.pub')));
  const script = (path: string, text: string) => {
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
  };
  // What a login shell prints comes ahead of the receiver's first byte.
  script(
    join(folder, 'login'),
    `echo "Welcome. Unauthorised use is SPBK prohibited."\n[ ! -e "${folder}/profile" ] || . "${folder}/profile"\nPATH="${bin}:$PATH" exec sh -c "$SSH_ORIGINAL_COMMAND"`,
  );
  script(
    join(bin, 'sparsebak-receiver'),
    `echo $$ >> "${folder}/receivers"\nexec "${process.execPath}" "${RECEIVER}" "$@"`,
  );
  const port = await freePort();
  const config = [
    `Port ${String(port)}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${folder}/host`,
    `AuthorizedKeysFile ${folder}/authorized`,
    `PidFile ${folder}/pid`,
    ...(forced ? [`ForceCommand ${folder}/login`] : []),
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    'LogLevel ERROR',
  ];
  writeFileSync(join(folder, 'sshd_config'), `${config.join('\n')}\n`);
  const client = [
    'Host backup-host',
    '  HostName 127.0.0.1',
    `  Port ${String(port)}`,
    `  IdentityFile ${folder}/user`,
    '  IdentitiesOnly yes',
    '  StrictHostKeyChecking no',
    `  UserKnownHostsFile ${folder}/known`,
    '  LogLevel ERROR',
  ];
  writeFileSync(join(folder, 'ssh_config'), `${client.join('\n')}\n`);
  // ssh(1) reads no other folder than the user's home, whatever HOME says: a program of its name says which file to
  // read.
  const wrapper = join(folder, 'client');
  mkdirSync(wrapper);
  script(join(wrapper, 'ssh'), `exec ${program('ssh')!} -F "${folder}/ssh_config" "$@"`);
  mkdirSync('/run/sshd', { recursive: true });
  const child = spawn(program('sshd')!, ['-D', '-e', '-f', join(folder, 'sshd_config')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await answering(port, child);
  return { port, folder, process: child, env: { PATH: `${wrapper}:${process.env.PATH ?? ''}` } };
}

async function stopServer(on: Server): Promise<void> {
  on.process.kill();
  await once(on.process, 'exit');
  removeScratch(on.folder);
}

async function answering(port: number, child: ChildProcess): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error('sshd did not start');
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      socket.destroy();
    }
  }
}

/** An ssh-agent that holds a key. */
function startAgent(folder: string, key: string): { readonly socket: string; readonly process: ChildProcess } {
  const socket = join(folder, 'agent');
  const child = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
  const env = { ...process.env, SSH_AUTH_SOCK: socket };
  while (spawnSync('ssh-add', ['-q', key], { env }).status !== 0) assert.equal(child.exitCode, null);
  return { socket, process: child };
}

/** Those of the receivers that were ever started which still live. */
function receivers({ folder }: Server): number[] {
  const file = join(folder, 'receivers');
  const started = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : [];
  return started.filter(
    (pid) => existsSync(`/proc/${String(pid)}`) && !readFileSync(`/proc/${String(pid)}/stat`, 'utf8').includes(') Z'),
  );
}

async function noReceiverLeft(of: Server): Promise<void> {
  // It finds the end of its input when sshd does; there is nothing to be told by.
  while (receivers(of).length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

describe('over ssh', { skip }, () => {
  before(async () => {
    server = await startServer();
  });
  after(async () => {
    if (server !== undefined) await stopServer(server);
  });

  function labOver(t: TestContext): { lab: BackupSystem; server: Server } {
    assert.ok(server !== undefined);
    const lab = new BackupSystem(t, { pools: [{ name: 'main', type: 'file', path: plain.folder() }] });
    const destination = `ssh://${userInfo().username}@backup-host${lab.root}`;
    lab.configure('', destination);
    // Every run of this lab finds our ssh.
    lab.env = server.env;
    return { lab, server };
  }

  test('W13 sends and restores past the banner of a login shell, into a folder whose name must be quoted', async (t) => {
    const random = new Random('over ssh');
    const { lab, server: on } = labOver(t);
    const root = join(lab.folder, "it's $HOME; `x`");
    mkdirSync(root);
    lab.configure('', `ssh://${userInfo().username}@backup-host:${String(on.port)}${root}`);
    lab.write('a.img', random.bytes(3_000_000));
    await lab.init('--chunk-size', '64K');
    await lab.send('--full');
    writeAt(lab.path('a.img'), 500_000, random.bytes(10));
    assert.equal(only((await lab.send()).volumes, 'a.img').chunks, 1);
    await lab.compareAll();
    assert.deepEqual(readdirSync(root), ['laptop']);
    assert.deepEqual(receivers(on), []);
  });

  test('G1 S11 leaves no receiver behind when the agent is killed, and no lock', async (t) => {
    const random = new Random('killed over ssh');
    const { lab, server: on } = labOver(t);
    lab.write('a.img', random.bytes(40_000_000));
    await lab.init('--chunk-size', '64K', '--compression', 'none');
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      const { child, ended } = lab.start(['send', '--full']);
      const tmp = () =>
        existsSync(join(lab.root, 'laptop/volumes')) &&
        readdirSync(join(lab.root, 'laptop/volumes'), { recursive: true, encoding: 'utf8' }).some((path) =>
          path.includes('.tmp-'),
        );
      while (!tmp()) await new Promise((resolve) => setTimeout(resolve, 5));
      child.kill(signal);
      const ran = await ended;
      if (signal === 'SIGTERM' && ran.status !== 0) ran.expect(130);
      await noReceiverLeft(on);
    }
    await lab.send('--full');
    assert.ok((await lab.restore('a.img')).equals(readFileSync(lab.path('a.img'))));
    await noReceiverLeft(on);
  });

  test('W7 a job that the login leaves behind, with the output open for ever, costs no command its result', async (t) => {
    const { lab, server: on } = labOver(t);
    const profile = join(on.folder, 'profile');
    const jobs = join(on.folder, 'jobs');
    writeFileSync(profile, `sleep 1000 &\necho $! >> "${jobs}"\n`);
    t.after(() => {
      rmSync(profile);
      for (const pid of readFileSync(jobs, 'utf8').trim().split('\n')) process.kill(Number(pid));
    });
    lab.write('a.img', new Random('a job left behind').bytes(1_000_000));
    await lab.init('--chunk-size', '64K');
    await lab.send('--full');
    await lab.compareAll();
    await noReceiverLeft(on);
  });

  test('lends the other host nothing of this one, whatever the user’s configuration says', async (t) => {
    const { lab, server: on } = labOver(t);
    const file = join(on.folder, 'ssh_config');
    const usual = readFileSync(file, 'utf8');
    const profile = join(on.folder, 'profile');
    const seen = join(lab.folder, 'seen');
    // What a NAS that was taken over would look for: an agent that answers, a display, a way back.
    writeFileSync(
      profile,
      `{ env; if ssh-add -l; then echo AGENT ANSWERS; fi; tty; } >> "${seen}" 2>/dev/null </dev/null\n`,
    );
    const agent = startAgent(lab.folder, join(on.folder, 'user'));
    t.after(() => {
      writeFileSync(file, usual);
      rmSync(profile);
      agent.process.kill();
    });
    const [back, ahead] = [await freePort(), await freePort()];
    const local = join(lab.folder, 'local-command');
    const control = join(lab.folder, 'control');
    const harmful = [
      ['ForwardAgent yes', 'ForwardX11 yes', 'ForwardX11Trusted yes', 'GSSAPIDelegateCredentials yes'],
      [`RemoteForward ${String(back)} 127.0.0.1:${String(on.port)}`, `LocalForward ${String(ahead)} 127.0.0.1:22`],
      ['PermitLocalCommand yes', `LocalCommand touch ${local}`, 'RemoteCommand sleep 100', 'RequestTTY force'],
      ['ControlMaster auto', `ControlPath ${control}`, 'ControlPersist 100'],
    ].flat();
    writeFileSync(file, `${usual}${harmful.map((line) => `  ${line}\n`).join('')}`);
    lab.env = { ...on.env, SSH_AUTH_SOCK: agent.socket, DISPLAY: ':7' };
    lab.write('a.img', new Random('lent').bytes(500_000));
    await lab.init('--chunk-size', '64K');
    await lab.send('--full');
    await lab.compareAll();
    const told = readFileSync(seen, 'utf8');
    assert.match(told, /SSH_CONNECTION=/, 'the login looked');
    assert.doesNotMatch(told, /SSH_AUTH_SOCK=|AGENT ANSWERS|DISPLAY=|SSH_TTY=/);
    for (const made of [local, control]) assert.ok(!existsSync(made), made);
    await assert.rejects(once(connect(back, '127.0.0.1'), 'connect'), /ECONNREFUSED/);
    await assert.rejects(once(connect(ahead, '127.0.0.1'), 'connect'), /ECONNREFUSED/);
  });

  test('with the forced command of docs/install-linux.md: one folder, one archive, and nothing that removes', async (t) => {
    const on = await startServer(false);
    t.after(() => stopServer(on));
    const lab = new BackupSystem(t, {
      pools: [{ name: 'main', type: 'file', path: plain.folder() }],
      archive: 'host1',
    });
    lab.env = on.env;
    const page = readFileSync(join(import.meta.dirname, '../../docs/install-linux.md'), 'utf8');
    const [line] = /^restrict,command=.*$/m.exec(page)!;
    const [, settings] = /```toml\n(root [^`]*)```/.exec(page)!;
    const config = join(on.folder, 'host1.toml');
    writeFileSync(config, settings!.replace('/srv/backup', lab.root));
    const authorize = (grant: string) => {
      const own = line
        .replace('/usr/bin/sparsebak-receiver', join(on.folder, 'bin/sparsebak-receiver'))
        .replace('/etc/sparsebak/host1.toml', config)
        .replace('--grant receive', `--grant ${grant}`)
        .replace(/ssh-ed25519 .*$/, readFileSync(join(on.folder, 'user.pub'), 'latin1'));
      writeFileSync(join(on.folder, 'authorized'), own);
    };
    authorize('receive');
    const elsewhere = join(lab.folder, 'elsewhere');
    mkdirSync(elsewhere);
    lab.configure('', `ssh://${userInfo().username}@backup-host${elsewhere}`);
    const random = new Random('forced command');
    lab.write('a.img', random.bytes(300_000));
    await lab.init('--chunk-size', '64K');
    for (let turn = 0; turn < 3; turn++) {
      writeAt(lab.path('a.img'), 0, random.bytes(10));
      await lab.send('--full');
    }
    await lab.verifyAll();
    await lab.compareAll();
    assert.deepEqual([readdirSync(elsewhere), readdirSync(lab.root)], [[], ['host1']]);
    const before = readdirSync(join(lab.root, 'host1/volumes'), { recursive: true }).sort();
    for (const args of [
      ['prune', '--keep-last', '1', '--yes'],
      ['delete', 'a.img', '--yes'],
      ['key', 'remove', 'recovery', '--yes'],
    ]) {
      const { stderr } = (await lab.run(args)).expect(5);
      assert.match(
        stderr,
        /may not prune, delete.* the grant "receive"\n {2}→ Do it on the receiver's computer/,
        args[0],
      );
    }
    assert.deepEqual(readdirSync(join(lab.root, 'host1/volumes'), { recursive: true }).sort(), before);
    // What the agent asks for itself is not run.
    const asked = spawnSync('ssh', ['backup-host', `touch ${elsewhere}/made`], {
      env: { ...process.env, ...on.env },
      input: '',
    });
    assert.notEqual(asked.status, 0);
    assert.deepEqual(readdirSync(elsewhere), []);
    authorize('retrieve');
    await lab.compareAll();
    writeAt(lab.path('a.img'), 0, random.bytes(10));
    assert.match((await lab.run(['send'])).expect(5).stderr, /the grant "retrieve"/);
  });

  test('says what is wrong with the host, the key or the receiver, with exit 5', async (t) => {
    const { lab, server: on } = labOver(t);
    await lab.init();
    const failing = async (destination: string, env: NodeJS.ProcessEnv = on.env) => {
      lab.configure('', destination);
      const ran = (await lab.run(['list', '--json'], { env })).expect(5);
      return ran.json(errorDocument).error;
    };
    const closed = await freePort();
    const { message, hint } = await failing(`ssh://127.0.0.1:${String(closed)}/x`);
    assert.match(message, /ssh to 127\.0\.0\.1 failed .*refused/i);
    assert.match(hint!, /ssh -o BatchMode=yes 127\.0\.0\.1 true/);
    assert.match((await failing(`ssh://nobody-there@backup-host${lab.root}`)).message, /denied/i);
    const empty = join(lab.folder, 'no-programs');
    mkdirSync(empty);
    assert.match((await failing(`ssh://backup-host${lab.root}`, { PATH: empty })).message, /there is no ssh here/);
    const receiver = join(on.folder, 'bin/sparsebak-receiver');
    const text = readFileSync(receiver);
    try {
      writeFileSync(receiver, '#!/bin/sh\nexec no-such-program-anywhere\n');
      const none = (await failing(`ssh://backup-host${lab.root}`)).message;
      assert.match(
        none,
        /backup-host has no sparsebak-receiver .*exit status 127; it said: .*no-such-program-anywhere/,
      );
      chmodSync(receiver, 0o644);
      assert.match((await failing(`ssh://backup-host${lab.root}`)).message, /may not be executed .*126; .*denied/i);
    } finally {
      chmodSync(receiver, 0o755);
      writeFileSync(receiver, text);
    }
  });
});
