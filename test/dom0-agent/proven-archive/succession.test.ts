// Which catalogue may follow which: the rule that keeps two computers from writing to one archive unnoticed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MAX_ADOPTIONS, type Catalogue } from '../../../dom0-agent/content/catalogue.ts';
import { successionOf, successorOf, type HashedCatalogue } from '../../../dom0-agent/proven-archive/succession.ts';
import { ARCHIVE } from '../content/objects.ts';

const id = (letter: string) => letter.codePointAt(0)!.toString(16).padStart(32, '0');
const [A, B, C, D] = ['a', 'b', 'c', 'd'].map(id) as [string, string, string, string];

let hashes = 0;

/** Every catalogue that is made has a hash of its own. */
function hashed(catalogue: Catalogue): HashedCatalogue {
  const hash = new Uint8Array(32);
  new DataView(hash.buffer).setUint32(0, ++hashes);
  return { catalogue, hash };
}

const first = (): HashedCatalogue => hashed({ archive: ARCHIVE, writer: A, sequence: 1, volumes: [] });

/** The next catalogue by `writer`: a send where it is the writer already, `adopt` where it is not. */
function next(over: HashedCatalogue, writer: string, sequence = over.catalogue.sequence + 1): HashedCatalogue {
  return hashed(successorOf(over, { writer, sequence, volumes: [] }));
}

const kindFor = (me: string, pins: readonly HashedCatalogue[], shown: HashedCatalogue) =>
  successionOf(pins, shown.catalogue, me).kind;

describe('successionOf', () => {
  const a5 = next(next(first(), A), A, 5);
  const a6 = next(a5, A);
  const b6 = next(a5, B);
  const b8 = next(b6, B, 8);

  it('a takeover of exactly what this computer wrote last follows, and so does all that comes over it', () => {
    assert.equal(kindFor(A, [a5], b6), 'follows');
    assert.equal(kindFor(A, [a5], b8), 'follows');
    const c9 = next(b8, C);
    assert.equal(kindFor(A, [a5], c9), 'follows', 'a chain of takeovers');
    assert.equal(kindFor(B, [b8], c9), 'follows');
    const a10 = next(c9, A);
    assert.equal(kindFor(B, [b8], a10), 'follows', 'taken back');
    assert.equal(kindFor(C, [c9], a10), 'follows');
    assert.equal(kindFor(D, [a5], a10), 'follows', 'to a reader');
  });

  it('A6 G7 a takeover of anything else is a fork, to each of the two and to readers', () => {
    assert.equal(kindFor(A, [a6], b8), 'forked');
    assert.equal(kindFor(B, [b8], next(a6, A, 20)), 'forked');
    assert.equal(kindFor(D, [a6], b8), 'forked');
    assert.equal(kindFor(D, [b6], next(a6, A, 20)), 'forked');
    assert.equal(kindFor(B, [b8], next(b6, A, 20)), 'forked', 'taken back from before its last');
    const same = { ...a5, hash: new Uint8Array(32).fill(255) };
    assert.equal(kindFor(A, [same], b6), 'forked', 'the same sequence, another catalogue');
  });

  it('says where the shown line left the one of this computer', () => {
    const found = successionOf([a6], b8.catalogue, A);
    assert.deepEqual(found, { kind: 'forked', after: { writer: A, sequence: 5, hash: a5.hash } });
  });

  it('one without a record, of before, is a fork over another writer’s pin, and follows its own writer’s', () => {
    const { adopted: _, ...bare } = b8.catalogue;
    const old = hashed(bare);
    assert.deepEqual(successionOf([a5], old.catalogue, A), { kind: 'forked' });
    assert.equal(kindFor(D, [a5], old), 'forked');
    assert.equal(kindFor(D, [b6], old), 'follows');
  });

  it('an unanswered put counts as pin', () => {
    assert.equal(kindFor(A, [a5, a6], next(a6, B)), 'follows');
    assert.equal(kindFor(A, [a5, a6], b6), 'follows', 'the put never arrived');
    assert.equal(kindFor(A, [a5, a6], next(next(a6, A), B)), 'forked', 'what this computer never wrote');
    // A takeover that was not answered: the old writer went on, or another one took over from either.
    assert.equal(kindFor(B, [a5, b6], a6), 'follows');
    assert.equal(kindFor(C, [a5, next(a5, C)], b8), 'follows');
  });

  it('what the pin was made over is older', () => {
    assert.equal(kindFor(A, [a6], a5), 'older');
    assert.equal(kindFor(B, [b8], a5), 'older');
    assert.equal(kindFor(B, [b8], b6), 'older');
    assert.equal(kindFor(D, [b8], a5), 'older');
    assert.equal(
      kindFor(A, [a5], next(a6, A, 30)),
      'older',
      'by this computer, though it never wrote it: its state is old',
    );
  });

  it('of two lines that parted, whoever stands on one is never shown the other as its successor', () => {
    const step = fc.record({ on: fc.integer({ min: 0, max: 1 }), writer: fc.constantFrom(A, B, C, D) });
    fc.assert(
      fc.property(fc.array(step, { minLength: 2, maxLength: 12 }), (steps) => {
        // A fork is two computers, each of which goes on in one line; none writes in both.
        const lines: HashedCatalogue[][] = [[a5], [a5]];
        const owners = new Map<string, number>();
        for (const { on, writer } of steps) {
          const line = owners.get(writer) ?? on;
          owners.set(writer, line);
          lines[line]!.push(next(lines[line]!.at(-1)!, writer));
        }
        for (const here of [0, 1]) {
          const pins = lines[here]!;
          pins.forEach((pin, at) => {
            // The writer knows its last, and readers anything.
            const isLast = !pins.slice(at + 1).some(({ catalogue }) => catalogue.writer === pin.catalogue.writer);
            const eyes = [id('r'), ...(isLast ? [pin.catalogue.writer] : [])];
            for (const me of eyes) {
              for (const later of pins.slice(at + 1)) assert.equal(kindFor(me, [pin], later), 'follows');
              if (at === 0) continue;
              for (const other of lines[1 - here]!.slice(1)) assert.notEqual(kindFor(me, [pin], other), 'follows');
            }
          });
        }
      }),
    );
  });
});

describe('successorOf', () => {
  it('keeps one record for each earlier writer, none of its own, and no more than there may be', () => {
    const a2 = next(first(), A);
    assert.equal(a2.catalogue.adopted, undefined);
    const b3 = next(a2, B);
    const a4 = next(b3, A);
    const b5 = next(a4, B);
    assert.deepEqual(b5.catalogue.adopted, [{ writer: A, sequence: 4, hash: a4.hash }]);
    let many = b5;
    for (let number = 0; number < MAX_ADOPTIONS + 5; number++) many = next(many, number.toString(16).padStart(32, '9'));
    assert.equal(many.catalogue.adopted?.length, MAX_ADOPTIONS);
    assert.equal(many.catalogue.adopted.at(-1)?.sequence, many.catalogue.sequence - 1);
  });
});
