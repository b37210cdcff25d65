// A reporter for node:test in the guest, one line as each test ends: `ok 3 - suite › test` or `not ok …` after the
// lines, beginning with `# `, that say why; and at last `1..N`.

/** @param {unknown} error @returns {string} */
function describe(error) {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${describe(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}

/** @param {AsyncIterable<import('node:test/reporters').TestEvent>} events */
export default async function* lines(events) {
  /** @type {string[]} */
  const path = [];
  let count = 0;
  for await (const { type, data } of events) {
    if (type === 'test:start') path[data.nesting] = data.name;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const ok = type === 'test:pass';
    // A suite that fails only because a test of it did is no failure more.
    const isSuite = data.details.type === 'suite';
    if (isSuite && (ok || Reflect.get(data.details.error, 'failureType') === 'subtestsFailed')) continue;
    if (!ok) {
      const { error } = data.details;
      yield `${describe(error.cause ?? error).replaceAll(/^/gm, '# ')}\n`;
    }
    const name = [...path.slice(0, data.nesting), data.name].join(' › ');
    const skipped = data.skip === undefined || data.skip === false ? '' : ` # SKIP ${data.skip}`;
    yield `${ok ? '' : 'not '}ok ${++count} - ${name}${skipped}\n`;
  }
  yield `1..${count}\n`;
}
