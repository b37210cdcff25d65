// The pin: what dom0 makes of each catalogue that an archive may show, and of each moment at which it may be cut off
// while it puts its own.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Catalogue } from '../../../dom0-agent/content/catalogue.ts';
import type { ArchiveState } from '../../../dom0-agent/proven-archive/archive-state.ts';
import { Pin, type PinCheck } from '../../../dom0-agent/proven-archive/pin.ts';
import type { Pinned } from '../../../dom0-agent/proven-archive/pinned-file.ts';
import { successorOf } from '../../../dom0-agent/proven-archive/succession.ts';
import { ArchiveInMemory } from '../../fixtures/archive-in-memory.ts';
import { cutAtEach } from '../../fixtures/cut-off.ts';
import { fault } from '../content/objects.ts';

const WRITES: PinCheck = { settles: true, acceptRollback: false, acceptFork: false };
const READS: PinCheck = { ...WRITES, settles: false };

function sealed(state: ArchiveState, catalogue: Catalogue): Pinned {
  const { stored: bytes, hash } = state.content.sealCatalogue(catalogue);
  return { bytes, hash, catalogue };
}

/** The next catalogue of `state`'s computer over one, sealed: an adoption where another computer made that one. */
function over(before: Pinned, state: ArchiveState, sequence = before.catalogue.sequence + 1): Pinned {
  const { volumes } = before.catalogue;
  return sealed(state, successorOf(before, { writer: state.settings.writer, sequence, volumes }));
}

/** An archive whose pin has moved on to the catalogue 5, and the one before. */
async function movedOn(t: it.TestContext) {
  const archive = await ArchiveInMemory.make(t);
  const { state } = archive;
  const pin = new Pin(state);
  const before = pin.known;
  const known = await pin.replace(await archive.client(), over(before, state, 5).catalogue);
  const check = async (how: PinCheck, by = state) => await new Pin(by).check(await archive.client(), how);
  return { archive, state, before, known, check };
}

/** What the state holds of the pin, byte for byte. */
function pinFiles(state: ArchiveState): Record<string, string> {
  const files = readdirSync(state.folder).filter((name) => ['current', 'next'].includes(name));
  return Object.fromEntries(files.map((name) => [name, readFileSync(`${state.folder}/${name}`, 'hex')]));
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('a computer that has a pin', () => {
  it('is shown its own catalogue: that is the archive, and nothing is written', async (t) => {
    const { state, known, check } = await movedOn(t);
    const files = pinFiles(state);
    for (const how of [READS, WRITES]) {
      assert.deepEqual((await check(how)).pinned.hash, known.hash);
      assert.deepEqual(pinFiles(state), files);
    }
  });

  it('refuses an older one, and keeps its pin', async (t) => {
    const { archive, state, before, known, check } = await movedOn(t);
    archive.show(before.bytes);
    const files = pinFiles(state);
    for (const how of [READS, WRITES, { ...WRITES, acceptFork: true }]) {
      await assert.rejects(check(how), fault('rollback'));
    }
    assert.deepEqual(pinFiles(state), files);
    archive.show(known.bytes);
    await check(WRITES);
  });

  it('takes an older one at the user’s word, and numbers what follows above both', async (t) => {
    const { archive, state, before, known, check } = await movedOn(t);
    archive.show(before.bytes);
    const { pinned } = await check({ ...WRITES, acceptRollback: true });
    assert.deepEqual(pinned.hash, before.hash);
    assert.deepEqual((await check(WRITES)).pinned.hash, before.hash, 'it is the pin from then on');
    const sequence = state.burnSequence(pinned.catalogue.sequence);
    assert.ok(sequence > pinned.catalogue.sequence);
    archive.show(known.bytes);
    await assert.rejects(check(WRITES), fault('rollback'), 'and what it left is not taken back in silence');
  });

  it('G3 with older state: a later catalogue of its own is a rollback of itself, not a step ahead', async (t) => {
    const { archive, state, before, known, check } = await movedOn(t);
    writeFileSync(archive.file('current'), before.bytes);
    await assert.rejects(check(WRITES), fault('rollback'));
    assert.deepEqual((await check({ ...WRITES, acceptRollback: true })).pinned.hash, known.hash);
    assert.ok(state.burnSequence(known.catalogue.sequence) > known.catalogue.sequence);
  });

  it('G7 takes what another computer made over exactly this pin, and what follows that', async (t) => {
    const { archive, state, known, check } = await movedOn(t);
    const other = archive.otherComputer();
    const adopted = over(known, other);
    archive.show(adopted.bytes);
    assert.deepEqual((await check(READS)).pinned.hash, adopted.hash);
    assert.deepEqual(pinFiles(state), { current: hex(adopted.bytes) });
    const later = over(adopted, other, 40);
    archive.show(later.bytes);
    assert.equal((await check(WRITES)).pinned.catalogue.sequence, 40);
    archive.show(adopted.bytes);
    await assert.rejects(check(WRITES), fault('rollback'), 'and no older one of that computer’s');
  });

  it('A6 G7 refuses a takeover of anything else, however new, until that is accepted', async (t) => {
    const { archive, state, before, known, check } = await movedOn(t);
    const other = archive.otherComputer();
    const files = pinFiles(state);
    const twin = sealed(state, known.catalogue);
    for (const forked of [over(before, other, 90), over(twin, other, 91)]) {
      archive.show(forked.bytes);
      await assert.rejects(check(READS), fault('fork'));
      await assert.rejects(check(WRITES), fault('fork'));
      await assert.rejects(check({ ...WRITES, acceptRollback: true }), fault('fork'), 'which is no rollback');
      assert.deepEqual(pinFiles(state), files);
    }
    const { pinned } = await check({ ...WRITES, acceptFork: true });
    assert.equal(pinned.catalogue.sequence, 91);
  });

  it('says of a fork who wrote what, and where the other line left this one', async (t) => {
    const { archive, state, before, check } = await movedOn(t);
    archive.show(over(before, archive.otherComputer(), 90).bytes);
    await assert.rejects(check(READS), ({ message }: Error) => {
      assert.match(message, /catalogue 5, written by this computer/);
      assert.match(message, /catalogue 90, written by the computer [0-9a-f]{8}\b/);
      assert.match(message, new RegExp(`this computer at catalogue ${before.catalogue.sequence}$`));
      return !message.includes(state.settings.writer);
    });
  });

  it('a reader beside a send finds the pin that the send wrote meanwhile', async (t) => {
    const { archive, state, known } = await movedOn(t);
    const reader = new Pin(archive.reopened());
    const moved = await new Pin(state).replace(await archive.client(), over(known, state, 6).catalogue);
    assert.deepEqual((await reader.check(await archive.client(), READS)).pinned.hash, moved.hash);
  });
});

describe('A7 an archive without a catalogue, or with one that dom0 never made', () => {
  const damages: Record<string, (bytes: Uint8Array) => Uint8Array> = {
    missing: () => new Uint8Array(0),
    'cut short': (bytes) => bytes.subarray(0, -1),
    'of another archive': (bytes) => bytes.with(40, bytes[40]! ^ 1),
  };
  for (const [name, damage] of Object.entries(damages)) {
    it(`${name}: a reader keeps to its pin, the writer puts its own back byte for byte`, async (t) => {
      const { archive, known, check } = await movedOn(t);
      const there = damage(known.bytes);
      archive.show(there);
      const read = await check(READS);
      assert.deepEqual([read.pinned.hash, read.damaged?.repaired], [known.hash, false]);
      assert.equal(read.damaged?.fault.code, 'integrity');
      assert.deepEqual(await archive.shown(), Uint8Array.from(there), 'nothing was put');
      const written = await check(WRITES);
      assert.deepEqual([written.pinned.hash, written.damaged?.repaired], [known.hash, true]);
      assert.equal(hex(await archive.shown()), hex(known.bytes));
      assert.equal((await check(WRITES)).damaged, undefined);
    });
  }

  it('a computer that only reads puts nothing back, whatever it was asked to do', async (t) => {
    const { archive, known, check } = await movedOn(t);
    archive.show(over(known, archive.otherComputer()).bytes);
    const { pinned } = await check(READS);
    archive.show(new Uint8Array(0));
    assert.deepEqual((await check(READS)).pinned.hash, pinned.hash);
    await assert.rejects(check(WRITES), fault('integrity'));
    await assert.rejects(check({ settles: true, acceptRollback: true, acceptFork: true }), fault('integrity'));
    assert.equal((await archive.shown()).length, 0);
  });

  it('an unanswered put stands in for it, since that one may have been there', async (t) => {
    const { archive, state, known, check } = await movedOn(t);
    const next = over(known, state, 6);
    writeFileSync(archive.file('next'), next.bytes);
    archive.show(new Uint8Array(0));
    assert.deepEqual((await check(WRITES)).pinned.hash, next.hash);
    assert.equal(hex(await archive.shown()), hex(next.bytes));
    assert.deepEqual(pinFiles(state), { current: hex(next.bytes) });
  });
});

describe('a computer without a pin', () => {
  it('takes what another computer made, and holds it to that', async (t) => {
    const { archive, before, known, check } = await movedOn(t);
    const other = archive.otherComputer();
    assert.deepEqual((await check(READS, other)).pinned.hash, known.hash);
    archive.show(before.bytes);
    await assert.rejects(check(READS, other), fault('rollback'));
  });

  it('G3 that wrote the archive itself cannot tell a rollback: only the user can', async (t) => {
    const { archive, state, before, check } = await movedOn(t);
    rmSync(archive.file('current'));
    archive.show(before.bytes);
    await assert.rejects(check(WRITES), fault('rollback'));
    assert.deepEqual(pinFiles(state), {}, 'nothing is taken before that');
    assert.deepEqual((await check({ ...WRITES, acceptRollback: true })).pinned.hash, before.hash);
  });

  it('and no catalogue in the archive: nothing is known, whatever is accepted', async (t) => {
    const { archive, check } = await movedOn(t);
    rmSync(archive.file('current'));
    for (const bytes of [new Uint8Array(0), new Uint8Array(100).fill(7)]) {
      archive.show(bytes);
      await assert.rejects(check({ settles: true, acceptRollback: true, acceptFork: true }), fault('integrity'));
    }
  });

  it('G3 a damaged one is named by its file, and not passed over', async (t) => {
    const { archive, known } = await movedOn(t);
    for (const name of ['current', 'next'] as const) {
      writeFileSync(archive.file(name), known.bytes.with(50, known.bytes[50]! ^ 1));
      assert.throws(() => new Pin(archive.reopened()), { code: 'integrity', message: new RegExp(archive.file(name)) });
      writeFileSync(archive.file(name), known.bytes);
    }
  });
});

describe('a put that is cut off', () => {
  it('G1 I9 between any two steps on dom0’s disk: the next command finds the old or the new, and goes on', async (t) => {
    const steps = await cutAtEach(async () => {
      const { archive, state, known } = await movedOn(t);
      const client = await archive.client();
      const next = over(known, state, 6).catalogue;
      const after = async (at: number): Promise<void> => {
        const shown = hex(await archive.shown());
        const isTorn = existsSync(archive.file('next.new'));
        const reader = await new Pin(archive.reopened()).check(await archive.client(), READS);
        assert.equal(hex(reader.pinned.bytes), shown, `a reader after step ${at}`);
        const { pinned, damaged } = await new Pin(archive.reopened()).check(await archive.client(), WRITES);
        assert.equal(damaged, undefined);
        assert.equal(hex(await archive.shown()), hex(pinned.bytes), `step ${at}`);
        assert.deepEqual(pinFiles(state), { current: hex(pinned.bytes) });
        assert.equal(pinned.catalogue.sequence, isTorn ? 5 : 6);
        const more = over(pinned, state, 7).catalogue;
        assert.equal((await new Pin(state).replace(await archive.client(), more)).catalogue.sequence, 7);
      };
      return { work: () => new Pin(state).replace(client, next), after };
    });
    assert.ok(steps >= 6, `${steps} operations`);
  });

  it('before it arrived: the next command puts the same bytes again', async (t) => {
    const { archive, state, known, check } = await movedOn(t);
    const lost = await archive.client();
    lost.close();
    await assert.rejects(new Pin(state).replace(lost, over(known, state, 6).catalogue), fault('unreachable'));
    const files = pinFiles(state);
    assert.deepEqual((await check(READS)).pinned.hash, known.hash, 'for a reader it has not happened');
    assert.deepEqual(pinFiles(state), files);
    const { pinned } = await check(WRITES);
    assert.equal(pinned.catalogue.sequence, 6);
    assert.equal(hex(await archive.shown()), files.next, 'not sealed anew');
  });

  it('after it arrived and before its answer: the archive shows the new one, which is ours', async (t) => {
    const { archive, state, known, check } = await movedOn(t);
    archive.lies = (honest) => ({
      putCatalogue: async (replaces, catalogue) => {
        await honest.putCatalogue(replaces, catalogue);
        lost.close();
      },
    });
    const lost = await archive.client();
    await assert.rejects(new Pin(state).replace(lost, over(known, state, 6).catalogue), fault('unreachable'));
    archive.lies = () => ({});
    const files = pinFiles(state);
    assert.equal((await check(READS)).pinned.catalogue.sequence, 6);
    assert.deepEqual(pinFiles(state), files, 'a reader leaves the pin to the writer');
    assert.equal((await check(WRITES)).pinned.catalogue.sequence, 6);
    assert.deepEqual(Object.keys(pinFiles(state)), ['current']);
  });

  it('G7 and another computer took over meanwhile: what was not put is dropped', async (t) => {
    const { archive, state, known, check } = await movedOn(t);
    const other = archive.otherComputer();
    writeFileSync(archive.file('next'), over(known, state, 6).bytes);
    const adopted = over(known, other, 7);
    archive.show(adopted.bytes);
    assert.deepEqual((await check(WRITES)).pinned.hash, adopted.hash);
    assert.deepEqual(pinFiles(state), { current: hex(adopted.bytes) });
  });

  it('G7 and another computer took over what neither shows: a fork, and the put stays noted', async (t) => {
    const { archive, state, before, known, check } = await movedOn(t);
    writeFileSync(archive.file('next'), over(known, state, 6).bytes);
    archive.show(over(before, archive.otherComputer(), 7).bytes);
    const files = pinFiles(state);
    await assert.rejects(check(WRITES), fault('fork'));
    assert.deepEqual(pinFiles(state), files);
  });

  it('accepting a rollback drops the put, too, so that it is not put over what was accepted', async (t) => {
    const { archive, state, before, known, check } = await movedOn(t);
    writeFileSync(archive.file('next'), over(known, state, 6).bytes);
    archive.show(before.bytes);
    await check({ ...WRITES, acceptRollback: true });
    assert.deepEqual(pinFiles(state), { current: hex(before.bytes) });
    assert.deepEqual((await check(WRITES)).pinned.hash, before.hash);
    assert.equal(hex(await archive.shown()), hex(before.bytes));
  });

  it('a receiver that has another catalogue than the one replaced keeps it', async (t) => {
    const { archive, state, known } = await movedOn(t);
    const client = await archive.client();
    const adopted = over(known, archive.otherComputer(), 7);
    archive.show(adopted.bytes);
    await assert.rejects(new Pin(state).replace(client, over(known, state, 6).catalogue));
    assert.equal(hex(await archive.shown()), hex(adopted.bytes));
  });
});
