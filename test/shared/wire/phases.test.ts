/** W5: the tables that both sides enforce are those of docs/protocol.md, cell by cell. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { ANSWERS, GRANTED, LEGAL } from '../../../shared/wire/phases.ts';
import { agentMessages, receiverMessages } from './messages.ts';

const document = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');
const said = Object.keys(agentMessages);

/** The rows of the first table under a heading, as cells, without its two head lines. */
function table(heading: string): string[][] {
  const section = document.split(/^## /m).find((each) => each.startsWith(heading)) ?? '';
  const rows = (/^\|.*(?:\n\|.*)*/m.exec(section)?.[0] ?? '').split('\n');
  assert.ok(rows.length > 2, `a table under "${heading}"`);
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The message names in backquotes; `get-*` stands for all that begin so. */
function named(cell: string): string[] {
  return [...cell.matchAll(/`([a-z-]+\*?)`/g)].flatMap(([, name = '']) =>
    name.endsWith('*') ? said.filter((each) => each.startsWith(name.slice(0, -1))) : [name],
  );
}

const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();

describe('the tables of the protocol', () => {
  it('W5: what is legal in which phase', () => {
    const rows = table('2. Phases');
    assert.deepEqual(
      rows.map(([phase]) => phase),
      Object.keys(LEGAL),
    );
    for (const [phase = '', , messages = ''] of rows) {
      const alive = phase === 'greeting' ? [] : ['alive'];
      assert.deepEqual(sorted(LEGAL[phase as keyof typeof LEGAL]), sorted([...named(messages), ...alive]), phase);
    }
  });

  it('W5: every message is legal somewhere', () => {
    assert.deepEqual(sorted(Object.values(LEGAL).flatMap((messages) => [...messages])), sorted(said));
  });

  it('W6: which answers each request may have', () => {
    const documented: Record<string, string[]> = {};
    for (const [requests = '', , answers = ''] of table('3. Requests')) {
      for (const request of named(requests)) {
        documented[request] = sorted([...answers.matchAll(/`([a-z]+)/g)].map(([, name = '']) => name));
      }
    }
    const built = Object.entries(ANSWERS).map(([request, { items, closing }]): [string, string[]] => {
      assert.ok(closing.has('error'), request);
      assert.ok(closing.size > 1, request);
      for (const item of items) assert.ok(!closing.has(item), request);
      return [request, sorted([...items, ...closing])];
    });
    assert.deepEqual(sorted(Object.keys(documented)), sorted(built.map(([request]) => request)));
    for (const [request, answers] of built) {
      // An `error` may answer every request; the document names it where its code is of interest.
      const expected = (documented[request] ?? []).filter((name) => name in receiverMessages);
      assert.deepEqual(answers, sorted([...expected, 'error']), request);
    }
  });

  it('W5: what each grant allows', () => {
    const anyone = ['hello', 'alive', 'bye'];
    const reading = [...anyone, 'open', ...said.filter((name) => name.startsWith('get-'))];
    assert.deepEqual(sorted(GRANTED.retrieve), sorted(reading));
    const maintaining = ['prune', 'protect', 'rename', 'delete'];
    assert.deepEqual(sorted(GRANTED.maintain), sorted([...reading, ...maintaining, 'put-slot', 'drop-slot']));
    assert.deepEqual(
      sorted(GRANTED.receive),
      sorted(said.filter((name) => ![...maintaining, 'drop-slot'].includes(name))),
    );
    assert.deepEqual(sorted(GRANTED.all), sorted(said));
  });
});
