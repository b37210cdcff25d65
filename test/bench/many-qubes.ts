/**
 * What many qubes cost: a host of app qubes on XFS, beside a qubesd that takes some milliseconds for each call, as the
 * real one does.
 *
 * Options: --qubes N (default 100), --delay MS of each call (default 3), --runs N (default 3: the median is shown).
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mountLoopFs } from '../fixtures/loop-fs.ts';
import { Qubesd } from '../fixtures/qubesd/qubesd.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { measured } from './measured.ts';

const { values } = parseArgs({
  options: {
    qubes: { type: 'string', default: '100' },
    delay: { type: 'string', default: '3' },
    runs: { type: 'string', default: '3' },
  },
});
const MIB = 2 ** 20;
const agent = fileURLToPath(new URL('../../dist/sparsebak.js', import.meta.url));
const folder = makeScratch('many-qubes');
const config = join(folder, 'sparsebak.toml');

function run(...args: string[]) {
  return measured(process.execPath, ['--disallow-code-generation-from-strings', agent, '--config', config, ...args]);
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

async function show(what: string, qubesd: Qubesd, ...args: string[]): Promise<void> {
  const costs = [];
  qubesd.forgetCalls();
  for (let at = 0; at < Number(values.runs); at++) costs.push(await run(...args));
  const seconds = median(costs.map((cost) => cost.seconds));
  const processor = median(costs.map((cost) => cost.cpuSeconds));
  const mib = Math.max(...costs.map((cost) => cost.agentBytes)) / MIB;
  const calls = qubesd.calls.length / costs.length;
  process.stdout.write(
    `${what}: ${seconds.toFixed(2)} s, ${processor.toFixed(2)} s of processor, agent ${mib.toFixed(0)} MiB, ` +
      `${calls.toFixed(0)} calls\n`,
  );
}

const fs = await mountLoopFs({ type: 'xfs', size: 4 * 1024 * MIB });
try {
  const pools = [{ name: 'vm-pool', driver: 'file-reflink', path: fs.dir }] as const;
  const qubesd = await Qubesd.start({ folder: join(folder, 'qubesd'), pools, populated: false });
  try {
    await qubesd.addTemplate('fedora-42', { data: { root: MIB } });
    for (let at = 0; at < Number(values.qubes); at++) {
      await qubesd.addQube(`work-${String(at)}`, { template: 'fedora-42', data: { private: MIB / 16 } });
    }
    await qubesd.control({ do: 'delay', ms: Number(values.delay) });
    mkdirSync(join(folder, 'vault'));
    writeFileSync(join(folder, 'passphrase'), 'bench\n');
    writeFileSync(
      config,
      `destination = "local:${folder}/vault"\narchive = "bench"\nstate_dir = "${folder}/state"\ninitial = "full"\n` +
        `[qubes]\ninclude = ["work-*"]\nsocket = "${qubesd.socket}"\n`,
    );
    await run('init', '--passphrase-file', join(folder, 'passphrase'));
    process.stdout.write(`${values.qubes} app qubes, a qubesd that takes ${values.delay} ms a call:\n`);
    const first = await run('send');
    process.stdout.write(`first send: ${first.seconds.toFixed(2)} s\n`);
    await show('monitor, no change', qubesd, 'monitor');
    await show('send, no change', qubesd, 'send');
    await show('status', qubesd, 'status');
    await show('qube list', qubesd, 'qube', 'list');
    // A fresh dom0: nothing of the archive is here.
    for (let at = 0; at < Number(values.qubes); at++) await qubesd.ok('admin.vm.Remove', `work-${String(at)}`);
    await show('plan of a restore of all', qubesd, 'qube', 'restore', '--all', '--dry-run');
  } finally {
    await qubesd.stop();
  }
} finally {
  await fs.unmount();
  removeScratch(folder);
}
