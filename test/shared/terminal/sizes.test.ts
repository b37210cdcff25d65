import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatSeconds } from '../../../shared/terminal/sizes.ts';

test('bytes have three digits and never an exponent, right up to the next unit', () => {
  const shown = [0, 1, 999, 1000, 1024, 999.4 * 1024, 999.6 * 1024, 999.6 * 2 ** 20, 1.464 * 2 ** 30, 2 ** 40];
  assert.deepEqual(shown.map(formatBytes), [
    ...['0 B', '1 B', '999 B', '0.977 KiB', '1.00 KiB', '999 KiB', '0.976 MiB', '0.976 GiB', '1.46 GiB', '1.00 TiB'],
  ]);
});

test('a duration is never 60 seconds beside minutes', () => {
  const shown = [0.04, 9.94, 9.96, 59.4, 59.7, 60, 119.6, 3599.6, 7500];
  assert.deepEqual(shown.map(formatSeconds), [
    ...['0.0 s', '9.9 s', '10 s', '59 s', '1 min 0 s', '1 min 0 s', '2 min 0 s', '1 h 0 min', '2 h 5 min'],
  ]);
});
