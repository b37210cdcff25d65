// One run of the test guest: QEMU with software emulation, its results as lines while it runs.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import type { GuestImage } from './image.ts';

/**
 * Milliseconds without a line after which the guest hangs. Below what ends the whole run, so that its console is shown.
 */
const SILENCE = 9 * 60_000;

/** How often the console is looked at: what a long scenario does in the guest shows there alone. */
const LOOK = 60_000;

export interface GuestRun {
  readonly image: GuestImage;
  /** Its content becomes /suite; the shell script `run` in it is what the guest does. */
  readonly suite: string;
  /** Empty disks, found as /dev/disk/NAME; sparse, so that only what is written to counts. */
  readonly disks: readonly { readonly name: string; readonly megabytes: number }[];
  /** @param seconds of processor time that the guest has taken so far, which a busy machine does not change much */
  readonly onLine: (line: string, seconds: number) => void;
}

function kernelArguments(): string {
  // An emulated processor counts as fast as this machine's. On a busy one the kernel would measure anything, and its
  // clock run wild.
  const mips = Number(/^bogomips\s*: ([0-9.]+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 0);
  return [
    'console=ttyS0 quiet loglevel=4 panic=-1',
    `tsc=reliable tsc_early_khz=${Math.round(mips * 500)} no_timer_check`,
    'mitigations=off nokaslr random.trust_cpu=on audit=0 selinux=0',
  ].join(' ');
}

/** Ends when the guest switched itself off. @returns the exit status of `run` @throws with the console's end */
export async function runGuest({ image, suite, disks, onLine }: GuestRun): Promise<number> {
  const scratch = makeScratch('guest');
  const child = spawn('qemu-system-x86_64', qemuArguments(image, suite, disks, scratch), {
    // The serial port counts as unplugged once its standard input has ended.
    stdio: 'pipe',
  });
  const clock = setTimeout(() => child.kill('SIGKILL'), SILENCE);
  const stop = (): void => void child.kill('SIGKILL');
  process.on('exit', stop);
  const consolePath = join(scratch, 'console');
  let seen = '';
  const look = setInterval(() => {
    const last = existsSync(consolePath) ? (readFileSync(consolePath, 'utf8').trimEnd().split('\n').at(-1) ?? '') : '';
    if (last === seen) return;
    seen = last;
    clock.refresh();
    // Whoever watches the run for silence hears it, too.
    console.log(`guest: at work: ${last.trim()}`);
  }, LOOK);
  let complaints = '';
  let status: number | undefined;
  try {
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    const ended = once(child, 'close');
    for await (const line of createInterface({ input: child.stdout })) {
      clock.refresh();
      const exit = /^guest exit (\d+)$/.exec(line)?.[1];
      if (exit === undefined) onLine(line, processorSeconds(child.pid));
      else status = Number(exit);
    }
    await ended;
    if (status !== undefined) return status;
    throw new Error(
      `the guest ended without saying how (it is stopped after ${SILENCE / 60_000} minutes without a line)\n` +
        complaints +
        readFileSync(consolePath, 'utf8').slice(-4000),
    );
  } finally {
    clearTimeout(clock);
    clearInterval(look);
    process.off('exit', stop);
    stop();
    removeScratch(scratch);
  }
}

function processorSeconds(pid: number | undefined): number {
  try {
    // The name before may hold spaces.
    const fields = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

function qemuArguments(image: GuestImage, suite: string, disks: GuestRun['disks'], scratch: string): string[] {
  writeFileSync(join(scratch, 'console'), '');
  const drives: string[] = [];
  const addDrive = (name: string, file: string, options: string): void => {
    drives.push('-drive', `file=${file},format=raw,if=none,id=${name},${options}`);
    drives.push('-device', `virtio-blk-pci,drive=${name},serial=${name}`);
  };
  addDrive('root', image.disk, 'snapshot=on');
  addDrive('suite', suiteDisk(suite, scratch), 'readonly=on');
  for (const { name, megabytes } of disks) {
    const file = join(scratch, name);
    writeFileSync(file, '');
    truncateSync(file, megabytes * 1024 * 1024);
    addDrive(name, file, 'cache=unsafe,discard=unmap');
  }
  return [
    // One plain processor costs a third less than two with every extension, and never waits for the other one.
    ...['-accel', 'tcg,tb-size=512', '-cpu', 'Westmere', '-smp', '1', '-M', 'q35', '-m', '2048'],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-monitor', 'none'],
    ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', kernelArguments()],
    ...['-serial', `file:${join(scratch, 'console')}`],
    ...['-chardev', 'stdio,id=results,signal=off', '-device', 'virtio-serial-pci'],
    ...['-device', 'virtserialport,chardev=results,name=results'],
    ...drives,
  ];
}

function suiteDisk(folder: string, scratch: string): string {
  const file = join(scratch, 'suite.ext4');
  const kilobytes = Number(/^\d+/.exec(program('du', '-sk', '--apparent-size', folder))?.[0]);
  writeFileSync(file, '');
  truncateSync(file, (Math.ceil(kilobytes / 1024) + 16) * 1024 * 1024);
  program('mkfs.ext4', '-q', '-F', '-O', '^has_journal', '-m', '0', '-d', folder, file);
  return file;
}

function program(name: string, ...args: string[]): string {
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`${name}: ${error?.message ?? stderr}`);
  return stdout;
}
