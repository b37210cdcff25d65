// A scratch system with its own systemd as process 1, in namespaces of its own: it starts and confines services as on a
// host. It starts nothing else but the journal, and has no network and no devices of this machine.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Ran, ScratchSystem } from './scratch-system.ts';

/** $0 is the system's root, $1 a cgroup for it. */
const BOOT = `
echo $$ > "$1/cgroup.procs"
exec unshare --mount --pid --fork --cgroup --uts --net --ipc --propagation private --kill-child sh -ec '
  mount -t proc none "$0/proc"
  mount --bind "$0/proc/sys" "$0/proc/sys"
  mount -o remount,bind,ro "$0/proc/sys"
  mount -t sysfs -o ro none "$0/sys"
  mount -t cgroup2 none "$0/sys/fs/cgroup"
  mkdir -p "$0/dev/pts" "$0/dev/shm" "$0/dev/mqueue" "$0/dev/hugepages"
  mount -t devpts -o newinstance,mode=620,ptmxmode=666 none "$0/dev/pts"
  ln -s pts/ptmx "$0/dev/ptmx"
  ln -s /proc/self/fd "$0/dev/fd"
  mount -t tmpfs -o mode=755 none "$0/run"
  exec chroot "$0" env -i PATH=/usr/sbin:/usr/bin container=test /lib/systemd/systemd --system --unit=timers.target
' "$0"
`;

/** The value for node:test's `skip`: false, or why systemd cannot be started here. */
export function bootSkip(): string | false {
  if (!existsSync('/lib/systemd/systemd')) return 'machine: no systemd';
  return cgroupRoot() === undefined ? 'machine: no cgroup2 is mounted' : false;
}

function cgroupRoot(): string | undefined {
  return /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];
}

export class BootedSystem {
  readonly #system: ScratchSystem;
  readonly #cgroup: string;
  readonly #process: ChildProcess;
  #init = 0;

  constructor(system: ScratchSystem) {
    this.#system = system;
    this.#cgroup = join(cgroupRoot() ?? '', `sparsebak-test-${String(process.pid)}-${String(Date.now())}`);
    mkdirSync(this.#cgroup);
    for (const place of ['/etc/systemd/system', '/usr/lib/systemd/system']) {
      for (const name of readdirSync(join(system.root, place))) {
        if (name.endsWith('.wants')) system.remove(`${place}/${name}`);
      }
    }
    system.remove('/etc/fstab');
    const wants = join(system.root, '/usr/lib/systemd/system/sysinit.target.wants');
    mkdirSync(wants);
    symlinkSync('../systemd-journald.service', join(wants, 'systemd-journald.service'));
    this.#process = spawn('sh', ['-ec', BOOT, system.root, this.#cgroup], { stdio: 'ignore' });
  }

  /** Returns when systemd answers. @throws if it does not within a minute, or ends */
  async started(): Promise<void> {
    for (let tries = 0; tries < 300 && this.#process.exitCode === null; tries++) {
      await delay(200);
      const pid = String(this.#process.pid);
      this.#init = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'));
      if (this.#init === 0) continue;
      if (this.run('systemctl', 'is-active', 'timers.target').stdout.trim() === 'active') return;
    }
    throw new Error(`systemd did not start (status ${String(this.#process.exitCode)})`);
  }

  run(command: string, ...args: string[]): Ran {
    const target = ['-t', String(this.#init), '-m', '-p', '-u', '-n', '-i', '-C', '-r', '-w'];
    const env = { PATH: this.#system.path, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' };
    return spawnSync('/usr/bin/nsenter', [...target, command, ...args], { encoding: 'utf8', env });
  }

  /** One property of a unit. */
  show(unit: string, property: string): string {
    return this.run('systemctl', 'show', '--value', '-p', property, unit).stdout.trim();
  }

  /** Kills everything in it. */
  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGKILL');
      await ended;
    }
    // The kernel removes a killed process from its cgroup a moment later.
    for (let tries = 0; tries < 50; tries++) {
      try {
        removeCgroup(this.#cgroup);
        return;
      } catch {
        await delay(100);
      }
    }
    removeCgroup(this.#cgroup);
  }
}

/** Its files cannot be removed, and go with it. */
function removeCgroup(path: string): void {
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(path, entry.name));
  }
  rmdirSync(path);
}
