/** Two volumes, two archives of different chunk sizes, one dom0 whose power may fail; and what must be true of them. */
import assert from 'node:assert/strict';
import type { Capture } from '../../../../dom0-agent/capture/capture.ts';
import { PairingStore } from '../../../../dom0-agent/capture/pairing-store.ts';
import { namedFiles, namedSnapshots, type PairingState } from '../../../../dom0-agent/capture/pairing.ts';
import { SparsebakError } from '../../../../shared/errors.ts';
import { Random } from '../../../fixtures/random.ts';
import { ModelAgent, type Cut } from './agent.ts';
import { BLOCK, chunkTexts, type Content } from './content.ts';
import { ModelFiles } from './files.ts';
import { Machine, PowerLoss } from './machine.ts';
import { ModelReceiver } from './receiver.ts';
import { ModelSource } from './source.ts';

export interface Sabotage {
  readonly losesRange?: boolean;
  readonly syncsFolders?: boolean;
  readonly frozen?: boolean;
}

export const VOLUMES = ['vm-work-private', 'vm-vault-private'];
const BLOCKS = 40;

export type Step =
  | { readonly kind: 'write'; readonly volume: string; readonly block: number; readonly value: number }
  /** `keeps`: what lies past the end comes back when the volume grows again. */
  | { readonly kind: 'resize'; readonly volume: string; readonly size: number; readonly keeps: boolean }
  /** The live volume becomes another device with other content. */
  | { readonly kind: 'revert'; readonly volume: string; readonly blocks: readonly number[] }
  | { readonly kind: 'delete'; readonly volume: string }
  | { readonly kind: 'monitor' }
  | { readonly kind: 'send'; readonly archive: number; readonly ending: Cut }
  | { readonly kind: 'rollback'; readonly archive: number; readonly volume: string }
  | { readonly kind: 'impostor'; readonly volume: string }
  | { readonly kind: 'vanish'; readonly volume: string }
  | { readonly kind: 'remove-stale'; readonly days: number }
  | { readonly kind: 'release'; readonly enough: number };

export class TwoArchives {
  readonly machine: Machine;
  readonly files: ModelFiles;
  readonly source: ModelSource;
  readonly receivers = [new ModelReceiver(64 * 1024), new ModelReceiver(128 * 1024)];
  readonly agent: ModelAgent;
  readonly store: PairingStore;
  readonly #random: Random;

  constructor(seed: number, { losesRange = false, syncsFolders = true, frozen = true }: Sabotage = {}) {
    this.#random = new Random('world', seed);
    this.machine = new Machine(new Random('coin', seed));
    this.files = new ModelFiles(this.machine, syncsFolders);
    this.source = new ModelSource(this.machine, { frozen, losesRange });
    this.store = new PairingStore('/state', this.files);
    const capture: Capture = {
      source: this.source,
      pool: 'main',
      store: this.store,
      lock: { hold: async (work) => await work() },
      warn: () => undefined,
    };
    this.agent = new ModelAgent(capture, this.source, this.machine, this.#random);
    for (const volume of VOLUMES) this.source.volumes.set(volume, this.#anything());
  }

  /** One command, or one thing that happens to the volumes. Whether it got through. */
  async take(step: Step): Promise<'done' | 'failed' | 'power lost'> {
    try {
      await this.#take(step);
      // Code that reports a failure of one volume and goes on goes on without power, to no effect.
      return this.machine.dead ? 'power lost' : 'done';
    } catch (error) {
      if (error instanceof PowerLoss || this.machine.dead) return 'power lost';
      if (error instanceof SparsebakError) return 'failed';
      throw error;
    }
  }

  /** Power comes back: dom0 finds what was durable. */
  restart(): void {
    this.machine.restart();
    this.files.restart();
  }

  states(): PairingState[] {
    return this.store.list().flatMap((known) => (known.kind === 'paired' ? [known.state] : []));
  }

  /** True at any moment at which dom0 looks at its state, whatever happened before. */
  checkMaps(): number {
    let used = 0;
    for (const state of this.states()) {
      const { tick, volume } = state;
      if (tick === null || this.source.tampered.has(tick.id) || !this.source.snapshots.has(tick.id)) continue;
      for (const receiver of this.receivers) {
        const head = receiver.newest(volume);
        const ref = state.maps.find((map) => map.archive === receiver.archive && map.pairing === head?.pairing);
        const stored = ref && this.store.readMap(state, ref);
        if (head === undefined || stored?.kind !== 'intact') continue;
        used += 1;
        const held = chunkTexts(this.source.contentOf(tick), receiver.chunkSize);
        for (const [chunk, text] of held.entries()) {
          assert.ok(
            text === head.chunks[chunk] || stored.value.has(chunk),
            `chunk ${chunk} of ${volume} must be marked`,
          );
        }
      }
    }
    return used;
  }

  /** True at any moment: what the state says was committed, the receiver has or had. */
  checkCommitted(): void {
    for (const { volume, maps, pending } of this.states()) {
      const open = pending.filter(({ outcome }) => outcome === 'unknown');
      const said = [...maps, ...pending].filter(({ pairing }) => open.every((entry) => entry.pairing !== pairing));
      for (const { archive, pairing } of said) {
        const receiver = this.receivers.find((each) => each.archive === archive);
        assert.ok(receiver?.everHad(pairing) === true, `${volume}: ${pairing} is noted as committed and never was`);
      }
    }
  }

  /** True where nothing but power was lost: no state names what is not there. */
  checkOrder(): void {
    assert.ok(
      this.store.list().every(({ kind }) => kind === 'paired'),
      'a pairing.json is torn',
    );
    for (const state of this.states()) {
      for (const { id } of namedSnapshots(state)) {
        assert.ok(this.source.snapshots.has(id) || this.source.tampered.has(id), `snapshot ${id} is named and gone`);
      }
      for (const ref of state.maps)
        assert.equal(this.store.readMap(state, ref).kind, 'intact', 'a map is named and gone');
      for (const { progress } of state.pending) {
        if (progress !== null) assert.equal(this.store.readPages(state, progress).kind, 'intact');
      }
    }
  }

  /**
   * After a command that got through: what it left is what a power loss now would leave, but for files that nothing
   * names.
   */
  checkDurable(): void {
    const named = new Set(this.states().flatMap(namedFiles));
    const loose = this.files
      .undurable()
      .filter((path) => path.endsWith('.json') || named.has(path.split('/').at(-1) ?? ''));
    assert.deepEqual(loose, [], 'a command is done and what it wrote is not durable');
  }

  /** After a run that nothing disturbed. */
  checkClean(): void {
    const states = this.states();
    const named = new Set(states.flatMap(namedSnapshots).map(({ id }) => id));
    const strays = [...this.source.snapshots.keys()].filter((id) => !named.has(id) && !this.source.tampered.has(id));
    assert.deepEqual(strays, [], 'stray snapshots');
    const expected = new Set(['pairing.json', ...states.flatMap(namedFiles)]);
    const found = this.files.paths().map((path) => path.split('/').at(-1) ?? '');
    assert.deepEqual(
      found.filter((name) => !expected.has(name)),
      [],
      'stray files',
    );
  }

  /**
   * A send to each archive first, so that there is something to lose; then each kind of thing that happens, some often.
   */
  randomSteps(): Step[] {
    const sends = [0, 1].map((archive): Step => ({ kind: 'send', archive, ending: 'commit' }));
    const left = [...this.#happenings()];
    const order: Step[] = [];
    while (left.length > 0) order.push(...left.splice(this.#random.int(left.length), 1).flat());
    return [...sends, ...order];
  }

  *#happenings(): Generator<Step[]> {
    const random = this.#random;
    const volume = () => random.pick(VOLUMES);
    const archive = () => random.int(this.receivers.length);
    const write = (): Step => ({ kind: 'write', volume: volume(), block: random.int(BLOCKS), value: random.int(4) });
    for (let time = 0; time < 4; time++) yield [write()];
    for (let time = 0; time < 3; time++) yield [{ kind: 'monitor' }];
    for (let time = 0; time < 4; time++) yield [write(), { kind: 'send', archive: archive(), ending: 'commit' }];
    for (let time = 0; time < 2; time++) yield [write(), { kind: 'send', archive: archive(), ending: 'checkpoint' }];
    yield [write(), { kind: 'send', archive: archive(), ending: 'abandon' }];
    const rolledBack = archive();
    yield [
      write(),
      { kind: 'send', archive: rolledBack, ending: 'commit' },
      ...VOLUMES.map((each): Step => ({ kind: 'write', volume: each, block: random.int(4), value: 5 })),
      { kind: 'send', archive: rolledBack, ending: 'checkpoint' },
      { kind: 'rollback', archive: rolledBack, volume: volume() },
      { kind: 'send', archive: rolledBack, ending: 'commit' },
    ];
    const size = random.int(BLOCKS * 4) * (BLOCK / 4);
    yield [{ kind: 'resize', volume: volume(), size, keeps: random.once(2) }];
    yield [{ kind: 'revert', volume: volume(), blocks: this.#anything().blocks }];
    yield [{ kind: 'impostor', volume: volume() }];
    yield [{ kind: 'vanish', volume: volume() }];
    yield [
      { kind: 'send', archive: archive(), ending: 'checkpoint' },
      { kind: 'release', enough: random.between(1, 3) },
    ];
    yield [
      { kind: 'delete', volume: volume() },
      { kind: 'remove-stale', days: 0 },
      { kind: 'remove-stale', days: 1 },
      write(),
    ];
    yield [
      { kind: 'delete', volume: volume() },
      { kind: 'remove-stale', days: 0 },
      { kind: 'remove-stale', days: 8 },
    ];
  }

  async #take(step: Step): Promise<void> {
    const { volumes } = this.source;
    switch (step.kind) {
      case 'write': {
        const { size, blocks } = volumes.get(step.volume) ?? this.#anything();
        const longer = Array.from(
          { length: Math.max(blocks.length, step.block + 1) },
          (_, block) => blocks[block] ?? 0,
        );
        volumes.set(step.volume, { size, blocks: longer.with(step.block, step.value) });
        return;
      }
      case 'resize': {
        const { blocks } = volumes.get(step.volume) ?? this.#anything();
        const kept = step.keeps ? blocks : blocks.slice(0, Math.ceil(step.size / BLOCK));
        volumes.set(step.volume, { size: step.size, blocks: kept });
        return;
      }
      case 'revert':
        volumes.set(step.volume, { size: volumes.get(step.volume)?.size ?? 0, blocks: step.blocks });
        return;
      case 'delete':
        volumes.delete(step.volume);
        return;
      case 'impostor':
      case 'vanish':
        this.#tamper(step);
        return;
      case 'rollback':
        this.receivers[step.archive]?.rollBack(step.volume);
        return;
      case 'monitor':
        await this.agent.reap();
        await this.agent.monitor(VOLUMES);
        return;
      case 'send': {
        await this.agent.reap();
        const receiver = this.receivers[step.archive];
        if (receiver !== undefined) await this.agent.send(receiver, VOLUMES, step.ending);
        return;
      }
      case 'remove-stale':
        await this.agent.reap(step.days);
        return;
      case 'release':
        await this.agent.release(step.enough);
        return;
    }
  }

  #tamper({ kind, volume }: Step & { readonly volume: string }): void {
    const loaded = this.store.stateOf('main', volume);
    const snapshot = this.#random.pick([loaded.tick, ...namedSnapshots(loaded)]);
    if (snapshot === null) return;
    if (kind === 'vanish') this.source.removeSnapshot(snapshot.id);
    else this.source.replaceSnapshot(snapshot.id, this.source.volumes.get(volume) ?? this.#anything());
  }

  #anything(): Content {
    const blocks = Array.from({ length: BLOCKS }, () => this.#random.int(3));
    return { size: this.#random.between(1, BLOCKS * 4) * (BLOCK / 4), blocks };
  }
}
