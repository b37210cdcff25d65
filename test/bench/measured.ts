/** Runs a command and tells what it cost: seconds, processor seconds, and each process's peak memory. */
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';

export interface Cost {
  readonly seconds: number;
  /** User and system time of the command and all its children. */
  readonly cpuSeconds: number;
  /** Peak resident memory (bytes) of the largest process whose command line matches. */
  readonly agentBytes: number;
  readonly receiverBytes: number;
  readonly stdout: string;
}

/**
 * How often memory is looked at; the peak itself is the kernel's (VmHWM), only processes that live shorter are missed.
 */
const POLL = 20;

/** @throws when the exit status is not 0 */
export async function measured(file: string, args: readonly string[]): Promise<Cost> {
  const began = process.hrtime.bigint();
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const peak = { agent: 0, receiver: 0 };
  const timer = setInterval(() => {
    look(child.pid ?? 0, peak);
  }, POLL);
  const childCpu = cpuOfChildren();
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearInterval(timer);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: exit status ${String(status)}\n${stderr}${stdout}`);
  return {
    seconds,
    cpuSeconds: cpuOfChildren() - childCpu,
    agentBytes: peak.agent,
    receiverBytes: peak.receiver,
    stdout,
  };
}

function look(pid: number, peak: { agent: number; receiver: number }): void {
  peak.agent = Math.max(peak.agent, peakOf(pid));
  for (const child of childrenOf(pid)) {
    if (commandOf(child).includes('serve')) peak.receiver = Math.max(peak.receiver, peakOf(child));
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

function peakOf(pid: number): number {
  try {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(match?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Seconds of processor time of all children that have ended (cutime and cstime of proc(5), in ticks of 10 ms). */
function cpuOfChildren(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}
