/**
 * What `list` costs in an archive of many sessions, through the built bundles and a local receiver. The archive is not sent
 * but written: heads as dom0 seals them, in the folders of docs/format.md, without chunks.
 *
 * Options: --volumes N (default 50), --sessions N of each (default 200), --runs N (default 3: the median is shown).
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { hash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { ArchiveName, PairingId, SessionName, VolumeId } from '../../shared/archive/names.ts';
import { nextSessionName } from '../../shared/archive/names.ts';
import type { CatalogueVolume } from '../../dom0-agent/content/catalogue.ts';
import { ArchiveState } from '../../dom0-agent/trust/archive-state.ts';
import { Pin } from '../../dom0-agent/trust/pin.ts';
import { makeScratch, removeScratch } from '../fixtures/scratch.ts';
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

/** One volume's sessions, an hour apart. @returns what the catalogue lists */
function writeVolume(state: ArchiveState, number: number, count: number): CatalogueVolume {
  const id = hash('sha256', `volume ${number}`, 'hex').slice(0, 32) as VolumeId;
  const { archive, chunkSize } = state.record;
  const index = state.content.sealIndex(id, new Uint8Array(0));
  let base: SessionName | null = null;
  let newest: Uint8Array | null = null;
  for (let at = 0; at < count; at++) {
    const time = Date.UTC(2026, 0, 1) + at * 3_600_000;
    const session = nextSessionName(time, undefined);
    const pairing = hash('sha256', `${id} ${session}`, 'hex').slice(0, 32) as PairingId;
    const head = state.content.sealHead({
      ...{
        archive,
        volume: id,
        session,
        writer: state.settings.writer,
        pairing,
        sequence: at + 2,
        name: `vm-${number}`,
      },
      ...{ size: SIZE, chunkSize, index: index.hash, time, state: 'stopped', base, compared: false, changedBytes: 0 },
    });
    const files = { head: head.stored, index: index.stored, size: `${SIZE}\n` };
    const place = join(folder, 'vault/bench/volumes', id, session);
    mkdirSync(place, { recursive: true });
    for (const [name, content] of Object.entries(files)) writeFileSync(join(place, name), content);
    const sums = Object.entries(files).map(([name, content]) => `${hash('sha256', content, 'hex')}  ${name}\n`);
    writeFileSync(join(place, 'sha256'), sums.join(''));
    writeFileSync(join(place, 'stats'), JSON.stringify({ sizeBytes: SIZE, files: 0, zeros: 0, storedBytes: 1000 }));
    base = session;
    newest = head.hash;
  }
  return { id, name: `vm-${number}`, state: 'active', session: base, head: newest, tags: {} };
}

async function build(volumes: number, sessions: number): Promise<void> {
  mkdirSync(join(folder, 'vault'));
  writeFileSync(join(folder, 'passphrase'), 'bench\n');
  const lines = [`destination = "local:${folder}/vault"`, 'archive = "bench"', `state_dir = "${folder}/state"`];
  writeFileSync(config, lines.join('\n'));
  await run('init', '--passphrase-file', join(folder, 'passphrase'));
  const state = ArchiveState.open(join(folder, 'state'), 'bench' as ArchiveName);
  const listed = Array.from({ length: volumes }, (_, number) => writeVolume(state, number, sessions));
  const { archive } = state.record;
  const { bytes } = new Pin(state).begin({
    ...{ archive, writer: state.settings.writer, sequence: state.burnSequence(sessions + 2), volumes: listed },
  });
  writeFileSync(join(folder, 'vault/bench/catalogue'), bytes);
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
