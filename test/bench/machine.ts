/** The machine that was measured, as the reader of a table has to know it. */
import { availableParallelism, cpus, release, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
}

export function thisMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'an unknown processor',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: `Linux ${release()}`,
    node: process.version.slice(1),
  };
}

/** For example: 2 cores of AMD EPYC, 23.5 GiB of memory, Linux 6.18.44, Node 24.21.0. */
export function describeMachine(machine: Machine): string {
  const { processor, cores, memoryBytes, kernel, node } = machine;
  const memory = (memoryBytes / 2 ** 30).toFixed(1);
  return `${cores} ${cores === 1 ? 'core' : 'cores'} of ${processor}, ${memory} GiB of memory, ${kernel}, Node ${node}`;
}
