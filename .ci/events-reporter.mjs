// A second reporter for node:test beside the readable one: the events that test.mjs needs, one JSON document per line.
// `dequeue` and `complete` come at once; `pass` and `fail` wait for their file's turn.

import { resolve } from 'node:path';

/**
 * @typedef {object} TestEvent
 * @property {'dequeue' | 'complete' | 'pass' | 'fail' | 'output'} type `output`: a test printed something
 * @property {string} file
 * @property {number} line
 * @property {string} name
 * @property {number} nesting
 * @property {number} milliseconds
 * @property {boolean} isTest false for a suite, and for a file itself
 * @property {string | undefined} skip the reason, empty where none was given
 * @property {string | undefined} error of a test that failed: its message
 */

/** @param {Error} error of node:test, which wraps what the test threw */
function messageOf(error) {
  const { cause } = error;
  return cause instanceof Error ? (cause.stack ?? cause.message) : error.message;
}

/** @param {AsyncIterable<import('node:test/reporters').TestEvent>} events */
export default async function* lines(events) {
  for await (const { type, data } of events) {
    if (type === 'test:stdout') {
      yield `${JSON.stringify({ type: 'output' })}\n`;
      continue;
    }
    if (type !== 'test:dequeue' && type !== 'test:complete' && type !== 'test:pass' && type !== 'test:fail') continue;
    const details = 'details' in data ? data.details : undefined;
    const skip = 'skip' in data && data.skip !== undefined && data.skip !== false ? data.skip : undefined;
    /** @type {TestEvent} */
    const event = {
      type: /** @type {TestEvent['type']} */ (type.slice('test:'.length)),
      file: data.file ?? '',
      line: data.line ?? 0,
      name: data.name,
      nesting: data.nesting,
      milliseconds: details !== undefined && 'duration_ms' in details ? (details.duration_ms ?? 0) : 0,
      // A file without tests passes under its own name, which is not a test.
      isTest: details?.type !== 'suite' && resolve(data.name) !== data.file,
      skip: skip === undefined ? undefined : typeof skip === 'string' ? skip : '',
      error: type === 'test:fail' ? messageOf(data.details.error) : undefined,
    };
    yield `${JSON.stringify(event)}\n`;
  }
}
