/**
 * What `list` costs in an archive of many sessions, through the built bundles and a local receiver. The archive is not
 * sent but written: heads as dom0 seals them, in the folders of docs/format.md, without chunks.
 *
 * Options: --volumes N (default 50), --sessions N of each (default 200), --runs N (default 3: the median is shown).
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ArchiveName } from '../../shared/archive/names.ts';
import { ArchiveState } from '../../dom0-agent/proven-archive/archive-state.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
import { writeSessions } from '../fixtures/written-sessions.ts';
import { measured } from './measured.ts';

const { values } = parseArgs({
  options: {
    volumes: { type: 'string', default: '50' },
    sessions: { type: 'string', default: '200' },
    runs: { type: 'string', default: '3' },
  },
});
const agent = fileURLToPath(new URL('../../dist/sparsebak.js', import.meta.url));
const folder = makeScratch('many-sessions');
const config = join(folder, 'sparsebak.toml');
const SIZE = 2 ** 30;

function run(...args: string[]) {
  return measured(process.execPath, ['--disallow-code-generation-from-strings', agent, '--config', config, ...args]);
}

async function build(volumes: number, sessions: number): Promise<void> {
  mkdirSync(join(folder, 'vault'));
  writeFileSync(join(folder, 'passphrase'), 'bench\n');
  const lines = [`destination = "local:${folder}/vault"`, 'archive = "bench"', `state_dir = "${folder}/state"`];
  writeFileSync(config, lines.join('\n'));
  await run('init', '--passphrase-file', join(folder, 'passphrase'));
  const state = ArchiveState.open(join(folder, 'state'), 'bench' as ArchiveName);
  const names = Array.from({ length: volumes }, (_, number) => `vm-${number}`);
  writeSessions(join(folder, 'vault/bench'), state, { names, sessions, size: SIZE, from: Date.UTC(2026, 0, 1) });
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

try {
  await build(Number(values.volumes), Number(values.sessions));
  for (const cached of [false, true]) {
    const costs = [];
    for (let at = 0; at < Number(values.runs); at++) {
      if (!cached) rmSync(join(folder, 'state/archives/bench/heads'), { force: true });
      costs.push(await run('--json', 'list'));
    }
    const seconds = median(costs.map((cost) => cost.seconds));
    const processor = median(costs.map((cost) => cost.cpuSeconds));
    const mib = Math.max(...costs.map((cost) => cost.agentBytes)) / 2 ** 20;
    process.stdout.write(
      `list of ${values.volumes} volumes with ${values.sessions} sessions each, heads ${cached ? 'known' : 'not known yet'}: ${seconds.toFixed(2)} s, ${processor.toFixed(2)} s of processor, agent ${mib.toFixed(0)} MiB\n`,
    );
  }
} finally {
  removeScratch(folder);
}
