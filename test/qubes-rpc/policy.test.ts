// The policy file, evaluated for calls of every sort.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { SERVICES } from '../fixtures/qubes/vault.ts';
import { evaluate, readPolicy, type Qube, type Rule } from './policy-grammar.ts';

const folder = join(import.meta.dirname, '../../qubes-rpc/policy.d');
const qubes = new Map<string, Qube>([
  ['work', { type: 'AppVM', tags: ['created-by-dom0'] }],
  ['vault', { type: 'AppVM', tags: [] }],
  ['sparsebak-vault', { type: 'StandaloneVM', tags: ['backup'] }],
  ['debian-13', { type: 'TemplateVM', tags: [] }],
  ['sys-net', { type: 'AppVM', tags: ['anon-gateway'] }],
  ['disp1234', { type: 'DispVM', tags: [] }],
  ['dom00', { type: 'AppVM', tags: [] }],
]);
const targets = [...qubes.keys(), 'dom0', '@adminvm', '@default', '@dispvm', '@dispvm:work', 'no-such-qube'];
const args = ['+', '+laptop', '+-x', '+..', '++', '+a+b', `+${'x'.repeat(60)}`];
const rules = (): Rule[] =>
  readdirSync(folder).flatMap((name) => readPolicy(name, readFileSync(join(folder, name), 'utf8')));

describe('the policy', () => {
  test('denies every qube every service, towards every target, with every argument, and says so', () => {
    let calls = 0;
    for (const service of SERVICES) {
      for (const source of qubes.keys()) {
        for (const target of targets) {
          for (const argument of args) {
            const call = { service, argument, source, target };
            const { action, notify, rule } = evaluate(rules(), call, qubes);
            assert.deepEqual({ action, notify }, { action: 'deny', notify: true }, JSON.stringify(call));
            assert.notEqual(rule, undefined, 'by a line of ours, not because nothing else said anything');
            calls++;
          }
        }
      }
    }
    assert.equal(calls, 3 * qubes.size * targets.length * args.length);
  });

  test('says of dom0 that it may call any qube, though it is not asked', () => {
    for (const service of SERVICES) {
      for (const source of ['dom0', '@adminvm']) {
        for (const target of [...qubes.keys(), 'no-such-qube']) {
          for (const argument of args) {
            assert.equal(evaluate(rules(), { service, argument, source, target }, qubes).action, 'allow');
          }
        }
      }
    }
  });

  test('says nothing of any other service', () => {
    for (const service of ['sparsebak', 'sparsebak.Receive2', 'sparsebak.receive', 'qubes.VMShell', 'qubes.Filecopy']) {
      const call = { service, argument: '+', source: 'work', target: 'vault' };
      assert.equal(evaluate(rules(), call, qubes).rule, undefined, service);
    }
  });

  test('is one file whose name qrexec takes, ahead of the user’s own', () => {
    assert.deepEqual(readdirSync(folder), ['30-sparsebak.policy']);
    assert.equal(['30-user.policy', ...readdirSync(folder)].sort()[0], '30-sparsebak.policy');
    assert.ok(rules().every(({ service }) => service.startsWith('sparsebak.')));
  });

  test('says in words what it does not do', () => {
    const text = readFileSync(join(folder, '30-sparsebak.policy'), 'utf8').replaceAll(/\n# ?/g, ' ');
    assert.match(text, /asks no policy for calls that dom0 makes/);
  });
});

describe('the grammar that this test goes by', () => {
  const line = (text: string) => readPolicy('30-x.policy', text);
  const first = (text: string, source: string, target: string, argument = '+') =>
    evaluate(line(text), { service: 'a.B', argument, source, target }, qubes).action;

  test('takes the first line that matches, and denies where none does', () => {
    assert.equal(first('a.B * work vault allow\na.B * work vault deny', 'work', 'vault'), 'allow');
    assert.equal(first('a.B * work vault deny\na.B * work vault allow', 'work', 'vault'), 'deny');
    assert.equal(first('a.B * work vault allow', 'sys-net', 'vault'), 'deny');
    assert.equal(first('a.B +x work vault allow', 'work', 'vault', '+y'), 'deny');
    assert.equal(first('a.B + work vault allow', 'work', 'vault'), 'allow');
  });

  test('has dom0 in * and not in @anyvm', () => {
    assert.equal(first('a.B * @anyvm @anyvm allow', 'work', 'dom0'), 'deny');
    assert.equal(first('a.B * * * allow', 'work', 'dom0'), 'allow');
    assert.equal(first('a.B * dom0 @anyvm allow', '@adminvm', 'vault'), 'allow');
    assert.equal(first('a.B * @anyvm @anyvm allow', 'work', '@default'), 'allow');
    assert.equal(first('a.B * @tag:backup @type:AppVM allow', 'sparsebak-vault', 'vault'), 'allow');
  });

  test('takes nothing else', () => {
    for (const wrong of [
      ...['a.B * work vault', 'a.B * work vault permit', 'a.B x work vault deny', 'a.B * work vault deny # why'],
      ...['a.B * work vault deny user=root', 'a.B * work vault deny notify=maybe', 'a.B * @default work deny'],
      ...['* + work vault deny', 'a.B * work @default allow', 'a/B * work vault deny', 'a.B * wo/rk vault deny'],
      'a.B * work vault deny notify=yes notify=yes',
    ]) {
      assert.throws(() => line(wrong), wrong);
    }
    assert.throws(() => readPolicy('30-Sparsebak.policy', ''));
    assert.throws(() => readPolicy('30-sparsebak.policy~', ''));
  });
});
