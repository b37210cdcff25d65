/** Ctrl-C and the like: what runs is ended, and whoever started it removes what it made. */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';

/** Thrown wherever the bench is when a signal comes. */
class Interrupted extends Error {
  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const running = new Set<ChildProcess>();
let watching = false;
let caught: NodeJS.Signals | undefined;

/** From now on a signal ends the running program, and the bench with `Interrupted`, so that every `finally` is run. */
export function watchSignals(): void {
  watching = true;
  for (const signal of SIGNALS) process.on(signal, () => interrupt(signal));
}

function interrupt(signal: NodeJS.Signals): void {
  if (caught === undefined) process.stderr.write(`bench: ${signal}: unmounting and removing what was made\n`);
  caught ??= signal;
  for (const child of running) {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It ended at this moment.
    }
  }
}

/** @returns the first signal that came, if one did */
export function interruptedBy(): NodeJS.Signals | undefined {
  return caught;
}

/** @throws {Interrupted} if a signal came */
export function throwIfInterrupted(): void {
  if (caught !== undefined) throw new Interrupted(caught);
}

/** Like spawn. While signals are watched, in a process group of its own, which a signal ends. */
export function spawnWatched(file: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  throwIfInterrupted();
  const child = spawn(file, args, { ...options, detached: watching });
  if (watching) {
    running.add(child);
    child.on('close', () => running.delete(child));
    child.on('error', () => running.delete(child));
  }
  return child;
}
