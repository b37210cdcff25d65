/**
 * `npm run bench`: what the operations cost, through the built programs and a local receiver. Figures are for people;
 * nothing here passes or fails. docs/performance.md says how to read them.
 */
import { sweepScratch } from '../fixtures/scratch.ts';
import { benchAgainst } from './against.ts';
import { interruptedBy, watchSignals } from './interrupt.ts';
import { HELP, Refusal, parseOptions, type Options } from './options.ts';
import { benchPeers } from './peers.ts';
import { benchPlain } from './plain.ts';
import { benchScale } from './scale.ts';

const SIGNAL_NUMBERS: Partial<Record<NodeJS.Signals, number>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 };

async function bench(options: Options): Promise<void> {
  const { mode } = options;
  if (mode.kind === 'plain') await benchPlain(options);
  else if (mode.kind === 'peers') await benchPeers(options, mode.wyng);
  else if (mode.kind === 'scale') await benchScale(options, mode.chunks);
  else await benchAgainst(options, mode.revision);
}

/** @returns the exit status: 2 for what the user has to change */
function failure(error: unknown): number {
  // A program that a terminal's Ctrl-C ended, too, may have failed first.
  const signal = interruptedBy();
  if (signal !== undefined) return 128 + (SIGNAL_NUMBERS[signal] ?? 0);
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return error instanceof Refusal ? 2 : 1;
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(HELP);
  } else {
    watchSignals();
    for (const folder of sweepScratch()) process.stderr.write(`bench: removed what a killed run left: ${folder}\n`);
    await bench(options);
  }
} catch (error) {
  process.exitCode = failure(error);
}
