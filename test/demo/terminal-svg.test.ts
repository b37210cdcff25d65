import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { drawing } from './terminal-svg.ts';

const root = join(import.meta.dirname, '../..');

describe('the recording of a terminal', () => {
  it('shows each line with its colours, everything escaped, and wraps what is too long', () => {
    const lines = ['\u001b[36m█ <a>\u001b[0m & b', 'x'.repeat(25)];
    const svg = drawing([{ command: 'run "<x>"', lines, seconds: 1 }], 20);
    assert.ok(svg.includes('<tspan class="c">█ &lt;a&gt;</tspan> &amp; b'));
    assert.ok(svg.includes(`>${'x'.repeat(20)}</text>`) && svg.includes('>xxxxx</text>'));
    assert.ok(svg.includes('run "&lt;x&gt;"') && !svg.includes('\u001b'));
  });

  it('of the README is of a run that went well, small, and has no script', () => {
    const svg = readFileSync(join(root, 'docs/pictures/demo.svg'), 'utf8');
    assert.ok(svg.length < 20_000);
    assert.doesNotMatch(svg, /<script|href|\bon\w+=/);
    for (const shown of ['sparsebak init', 'sparsebak send --full', 'sparsebak list', '>identical<']) {
      assert.ok(svg.includes(shown), shown);
    }
    assert.ok(readFileSync(join(root, 'README.md'), 'utf8').includes('docs/pictures/demo.svg'));
  });
});
