/** Runs a command and tells what it cost: seconds, processor seconds, and each process's peak memory. */
import { type ChildProcess } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { spawnWatched, throwIfInterrupted } from './interrupt.ts';

export interface Cost {
  readonly seconds: number;
  /** User and system time of the command and all its children. */
  readonly cpuSeconds: number;
  /** Peak resident memory (bytes) of the command itself. */
  readonly agentBytes: number;
  /** The same of its child whose command line has `serve`. */
  readonly receiverBytes: number;
  /** The same of the largest of the command and all that it started, however indirectly. */
  readonly largestBytes: number;
  readonly stdout: string;
}

export interface MeasuredOptions {
  /** Instead of this process's environment. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/**
 * How often memory is looked at; the peak itself is the kernel's (VmHWM), only processes that live shorter are missed.
 */
const POLL = 20;
/** Milliseconds that a process left behind may keep the output open; only the command itself is waited for. */
const LEFT_BEHIND = 200;

interface Peak {
  agent: number;
  receiver: number;
  largest: number;
}

/** @throws when the exit status is not 0, or a signal interrupted the bench */
export async function measured(file: string, args: readonly string[], options: MeasuredOptions = {}): Promise<Cost> {
  const childCpu = cpuOfChildren();
  const began = process.hrtime.bigint();
  const child = spawnWatched(file, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (text: Buffer) => (output.stdout += text.toString()));
  child.stderr?.on('data', (text: Buffer) => (output.stderr += text.toString()));
  const peak: Peak = { agent: 0, receiver: 0, largest: 0 };
  const timer = setInterval(() => {
    look(child.pid ?? 0, peak);
  }, POLL);
  const { status, at } = await ended(child, file).finally(() => clearInterval(timer));
  throwIfInterrupted();
  if (status !== 0) {
    throw new Error(`${file} ${args.join(' ')}: exit status ${String(status)}\n${output.stderr}${output.stdout}`);
  }
  return {
    seconds: Number(at - began) / 1e9,
    cpuSeconds: cpuOfChildren() - childCpu,
    agentBytes: peak.agent,
    receiverBytes: peak.receiver,
    largestBytes: peak.largest,
    stdout: output.stdout,
  };
}

/** The sum of two commands of which one ran after the other, with the output of the first. */
export function together(first: Cost, second: Cost): Cost {
  return {
    seconds: first.seconds + second.seconds,
    cpuSeconds: first.cpuSeconds + second.cpuSeconds,
    agentBytes: Math.max(first.agentBytes, second.agentBytes),
    receiverBytes: Math.max(first.receiverBytes, second.receiverBytes),
    largestBytes: Math.max(first.largestBytes, second.largestBytes),
    stdout: first.stdout,
  };
}

/** When the command ended. Waits for its output too, but not for what a process that it left behind may still say. */
function ended(child: ChildProcess, file: string): Promise<{ status: number | null; at: bigint }> {
  return new Promise((resolve, reject) => {
    let end: { status: number | null; at: bigint } | undefined;
    child.on('error', (error) => reject(new Error(`${file} cannot be started: ${error.message}`, { cause: error })));
    child.on('exit', (status) => {
      end = { status, at: process.hrtime.bigint() };
      setTimeout(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
      }, LEFT_BEHIND).unref();
    });
    child.on('close', () => {
      if (end !== undefined) resolve(end);
    });
  });
}

function look(pid: number, peak: Peak): void {
  peak.agent = Math.max(peak.agent, peakOf(pid));
  peak.largest = Math.max(peak.largest, peak.agent);
  for (const child of childrenOf(pid)) {
    if (commandOf(child).includes('serve')) peak.receiver = Math.max(peak.receiver, peakOf(child));
    for (const process of [child, ...descendantsOf(child)]) peak.largest = Math.max(peak.largest, peakOf(process));
  }
}

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
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
