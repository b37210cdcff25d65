// A reporter for node:test beside the one that people read: the skipped tests with their reasons, and how many tests ran,
// as one JSON document.

import { resolve } from 'node:path';

/** @param {AsyncIterable<import('node:test/reporters').TestEvent>} events */
export default async function* skips(events) {
  const skipped = [];
  let executed = 0;
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.skip !== undefined && data.skip !== false) {
      const reason = typeof data.skip === 'string' ? data.skip : '';
      skipped.push({ file: data.file ?? '', line: data.line ?? 0, name: data.name, reason });
    } else if (data.details.type !== 'suite' && resolve(data.name) !== data.file) {
      // A file without a test of its own passes under its own name: that is no test.
      executed += 1;
    }
  }
  yield JSON.stringify({ executed, skipped });
}
