// People read what a schema says of their configuration, so these texts must not depend on which file was loaded first.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as z from '../../shared/zod.ts';

const name = z.string().check(z.minLength(1), z.maxLength(3));
const number = z.int().check(z.minimum(0), z.maximum(9));

describe('a schema', () => {
  const refused: readonly [z.ZodMiniType, unknown, string][] = [
    [name, 5, 'Invalid input: expected string, received number'],
    [name, undefined, 'Invalid input: expected string, received undefined'],
    [name, '', 'Too small: expected string to have >=1 characters'],
    [name, 'four', 'Too big: expected string to have <=3 characters'],
    [number, '5', 'Invalid input: expected number, received string'],
    [number, NaN, 'Invalid input: expected number, received NaN'],
    [number, Infinity, 'Invalid input: expected number, received Infinity'],
    [number, 1.5, 'Invalid input: expected int, received number'],
    [z.int(), 2 ** 53, 'Too big: expected int to be <=9007199254740991'],
    [number, -1, 'Too small: expected number to be >=0'],
    [number, 10, 'Too big: expected number to be <=9'],
    [z.boolean(), 'yes', 'Invalid input: expected boolean, received string'],
    [z.array(name).check(z.maxLength(1)), ['a', 'b'], 'Too big: expected array to have <=1 items'],
    [z.enum(['a', 'b']), 'c', 'Invalid option: expected one of "a"|"b"'],
    [z.literal(1), 2, 'Invalid input: expected 1'],
    [z.strictObject({}), { x: 1, y: 2 }, 'Unrecognized keys: "x", "y"'],
    [z.record(name, z.unknown()), { four: 1 }, 'Invalid key in record'],
    [z.instanceof(Uint8Array), [], 'Invalid input: expected Uint8Array, received array'],
    [z.custom(() => false), 1, 'Invalid input'],
    [z.custom(() => false, 'not that'), 1, 'not that'],
  ];
  for (const [schema, value, text] of refused) {
    it(`refuses ${typeof value} with "${text}"`, () => {
      assert.deepEqual(
        schema.safeParse(value).error?.issues.map(({ message }) => message),
        [text],
      );
    });
  }

  it('makes no functions from text, which the agent forbids itself', () => {
    assert.equal(z.config().jitless, true);
  });
});
