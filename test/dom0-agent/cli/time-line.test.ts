import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fitScreen, summary, type Overviewed } from '../../../dom0-agent/cli/overview.ts';
import { timeLine } from '../../../dom0-agent/cli/time-line.ts';
import { hasUnicode, noColour, painterFor } from '../../../shared/terminal/colour.ts';

const at = (day: string, changedBytes: number) => ({ time: `2026-11-${day}T12:00:00.000Z`, changedBytes });
const volumes = [
  { name: 'a/private.img', isDamaged: false, sessions: [at('01', 1000), at('11', 10), at('21', 1)] },
  { name: 'b.img', isDamaged: true, sessions: [at('11', 5)] },
];

describe('a time line', () => {
  it('has a row for each volume and an axis, in the width of the terminal', () => {
    const lines = timeLine(volumes, { width: 40, unicode: true, paint: noColour });
    assert.deepEqual(lines, [
      'a/private.img  █           ▃          ▁',
      'b.img                      ▁           ',
      '               2026-11-01    2026-11-21',
    ]);
    for (const width of [40, 80, 200]) {
      for (const line of timeLine(volumes, { width, unicode: true, paint: noColour })) assert.ok(line.length < width);
    }
  });

  it('is in ASCII where the locale is not UTF-8', () => {
    const lines = timeLine(volumes, { width: 40, unicode: false, paint: noColour });
    assert.match(lines.join('\n'), /^[ -~\n]*$/);
    assert.match(lines[0] ?? '', /# +[:|] +\./);
  });

  it('marks a damaged volume, and escapes names', () => {
    const painted = timeLine(volumes, { width: 60, unicode: true, paint: (colour, text) => `<${colour}:${text}>` });
    assert.match(painted[1] ?? '', /^<red:b\.img +> {2}<cyan:/);
    const [line = ''] = timeLine([{ ...volumes[0]!, name: 'x\u001b[2J' }], {
      width: 60,
      unicode: true,
      paint: noColour,
    });
    assert.ok(line.startsWith('x\\u{1b}[2J'));
  });

  it('is not drawn for one moment, or in no room', () => {
    assert.deepEqual(timeLine([volumes[1]!], { width: 80, unicode: true, paint: noColour }), []);
    const oneRun = [volumes[1]!, { ...volumes[1]!, name: 'c.img', sessions: [at('12', 5)] }];
    assert.deepEqual(timeLine(oneRun, { width: 80, unicode: true, paint: noColour }), []);
    assert.deepEqual(timeLine([], { width: 80, unicode: true, paint: noColour }), []);
    assert.deepEqual(timeLine(volumes, { width: 20, unicode: true, paint: noColour }), []);
  });
});

describe('colours', () => {
  it('are for terminals that have them, and users who want them', () => {
    assert.equal(painterFor({ isTTY: true }, { TERM: 'xterm' })('red', 'x'), '\x1b[31mx\x1b[0m');
    assert.equal(painterFor({ isTTY: true }, { TERM: 'xterm', NO_COLOR: '' })('red', 'x'), '\x1b[31mx\x1b[0m');
    for (const env of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      assert.equal(painterFor({ isTTY: true }, env)('red', 'x'), 'x');
    }
    assert.equal(painterFor({}, { TERM: 'xterm' })('red', 'x'), 'x');
  });

  it('and block characters follow the first locale that is set', () => {
    assert.equal(hasUnicode({ LANG: 'de_DE.UTF-8' }), true);
    assert.equal(hasUnicode({ LANG: 'de_DE.UTF-8', LC_ALL: 'C' }), false);
    assert.equal(hasUnicode({ LC_ALL: '', LC_CTYPE: 'C.utf8' }), true);
    assert.equal(hasUnicode({}), false);
  });
});

describe('an overview', () => {
  const volume = (name: string, more: Partial<Overviewed> = {}): Overviewed => ({
    ...{ name, kind: 'saved', changedChunks: 0, unfinished: null, running: false },
    ...more,
  });
  const many = Array.from({ length: 50 }, (_, index) => volume(`v${index}`));

  it('fits the screen, those with a problem first, in their order', () => {
    const all = [...many, volume('new', { kind: 'new', changedChunks: null }), volume('bad', { error: {} })];
    const shown = fitScreen(all, 20, (some) => some.length + 1);
    assert.equal(shown.length, 12);
    assert.deepEqual(
      shown.slice(-2).map(({ name }) => name),
      ['new', 'bad'],
    );
    assert.equal(fitScreen(all, 20, (some) => 2 * some.length + 1).length, 6);
    assert.equal(fitScreen(all, 200, (some) => some.length + 1).length, all.length);
  });

  it('says how many volumes are in which state, and what is overdue', () => {
    const now = Date.parse('2026-11-23T12:00:00Z');
    const age = { name: 'v1', session: null, sent: now - 5 * 86_400_000, proven: null };
    const all = [
      volume('v1', { changedChunks: 7 }),
      volume('v2', { changedChunks: null }),
      volume('n', { kind: 'new' }),
    ];
    assert.deepEqual(summary(all, [{ ...age, overdue: ['send'] }], now, noColour), [
      '3 volumes: 1 new, 2 saved; 7 chunks to send, 1 to read in full.',
      'Overdue: v1 was last sent 5 days ago.',
    ]);
    assert.equal(summary(all, [{ ...age, overdue: [] }], now, noColour)[1], 'Nothing is overdue.');
  });
});
