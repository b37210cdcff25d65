import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { cutMiddle, wrapWords } from '../../../shared/terminal/fit-width.ts';
import { formatTable } from '../../../shared/terminal/table.ts';

const table = {
  headings: ['VOLUME', 'SESSION', 'KIND', 'SIZE', 'STORED', ''],
  rows: [
    ['work/private.img', 'S_20261123-020000', 'incremental', '64.0 MiB', '3.01 MiB', ''],
    [
      'a-folder-of-some-length/and-another-one/private.img',
      'S_20261123-020000',
      'incremental',
      '64.0 MiB',
      '12 B',
      'it is not there any more, and nobody knows since when, nor where it went',
    ],
  ],
  right: [3, 4],
  droppable: [2, 4],
};

describe('a table', () => {
  test('in a pipe is whole, whatever its width', () => {
    assert.deepEqual(formatTable(table, undefined).split('\n'), [
      'VOLUME                                               SESSION            KIND             SIZE    STORED',
      'work/private.img                                     S_20261123-020000  incremental  64.0 MiB  3.01 MiB',
      'a-folder-of-some-length/and-another-one/private.img  S_20261123-020000  incremental  64.0 MiB      12 B  it is not there any more, and nobody knows since when, nor where it went',
    ]);
    assert.equal(formatTable(table, 300), formatTable(table, undefined), 'as on a terminal that is wide enough');
  });

  test('on a terminal remarks go below, names lose their middle, and columns that do not fit are named', () => {
    assert.deepEqual(formatTable(table, 80).split('\n'), [
      'VOLUME                        SESSION            KIND             SIZE    STORED',
      'work/private.img              S_20261123-020000  incremental  64.0 MiB  3.01 MiB',
      'a-folder-of-so…e/private.img  S_20261123-020000  incremental  64.0 MiB      12 B',
      '    it is not there any more, and nobody knows since when, nor where it went',
    ]);
    assert.deepEqual(formatTable(table, 58).split('\n'), [
      'VOLUME               SESSION                SIZE    STORED',
      'work/private.img     S_20261123-020000  64.0 MiB  3.01 MiB',
      'a-folder-…ivate.img  S_20261123-020000  64.0 MiB      12 B',
      '    it is not there any more, and nobody knows since when,',
      '    nor where it went',
      '(not shown in 58 columns: KIND)',
    ]);
  });

  const cell = fc.string({ maxLength: 60 }).map((text) => text.replaceAll(/[^a-z ]/g, 'x'));
  test('never wraps from 60 columns on, and says all that a remark says', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(cell, cell), { maxLength: 5 }),
        fc.integer({ min: 60, max: 200 }),
        (rows, width) => {
          const full = rows.map(([name, remark]) => [
            name,
            'S_20261123-020000',
            'incremental',
            '64.0 MiB',
            '12 B',
            remark,
          ]);
          const text = formatTable({ ...table, rows: full, indent: '  ' }, width);
          for (const line of text.split('\n')) assert.ok(line.length <= width || !line.trim().includes(' '), line);
          const words = (some: string) => some.split(/\s+/).filter((word) => word !== '');
          for (const [, remark] of rows) {
            const shown = words(text);
            for (const word of words(remark)) assert.ok(shown.includes(word), `${word}: ${text}`);
          }
        },
      ),
    );
  });

  test('without headings has no line for them', () => {
    const rows = [['a', 'bb', 'c']];
    assert.equal(formatTable({ headings: ['', '', ''], rows, indent: '  ' }, undefined), '  a  bb  c');
    assert.equal(formatTable({ headings: ['', '', ''], rows }, 5), 'a  bb\n    c');
  });

  test('escapes what a name could do to a terminal', () => {
    assert.ok(!formatTable({ headings: ['A'], rows: [['\u001b[2J']] }, 80).includes('\u001b'));
  });
});

test('the middle of a text is cut, so that it has exactly the width', () => {
  assert.equal(cutMiddle('work/private.img', 16), 'work/private.img');
  assert.equal(cutMiddle('work/private.img', 9), 'work….img');
  assert.equal(cutMiddle('work/private.img', 1), '…');
  assert.equal(cutMiddle('work/private.img', 0), '');
  for (let width = 0; width < 20; width++) assert.ok(cutMiddle('work/private.img', width).length <= width);
});

test('words are wrapped, and a long one is not cut', () => {
  assert.deepEqual(wrapWords('a bb ccc dddddddd e', 6), ['a bb', 'ccc', 'dddddddd', 'e']);
});
