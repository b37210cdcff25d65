// The agent's own code, started once for many commands: where every instruction is emulated, a start costs more than
// most commands do. Its receiver runs in the same process, its threads load no more than what a thread needs.
//
// A command is a line of JSON on standard input: the arguments, and what is different in the environment. Its exit
// status is a line on descriptor 3. What it says goes where a command's words go. A process that ends other than by a
// kill says so there, too.

import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { main } from '../../../dom0-agent/cli/main.ts';
import type { Order } from '../inside/agent.ts';

process.on('exit', (code) => {
  try {
    writeSync(3, `ended ${code}\n`);
  } catch {
    // Nobody is left to be told.
  }
});

for await (const line of createInterface({ input: process.stdin })) {
  const { args, environment, limit } = JSON.parse(line) as Order;
  const before = process.env;
  process.env = { ...before, ...environment };
  const clock = setTimeout(() => process.exit(124), limit);
  await main(args);
  clearTimeout(clock);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(signal);
  process.stdout.removeAllListeners('error');
  process.env = before;
  writeSync(3, `${String(process.exitCode)}\n`);
}
