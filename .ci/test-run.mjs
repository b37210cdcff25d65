// The events of a node:test run so far, read from the file that events-reporter.mjs writes during the run.

import { closeSync, existsSync, openSync, readSync } from 'node:fs';

/** @typedef {import('./events-reporter.mjs').TestEvent} TestEvent */

export class TestRun {
  /** @type {TestEvent[]} */
  skipped = [];
  passed = 0;
  /** @type {TestEvent[]} */
  failures = [];
  /** @type {TestEvent[]} */
  #ended = [];
  /** @type {Map<string, number>} milliseconds of a file's tests and suites */
  #files = new Map();
  /** @type {Map<string, TestEvent>} tests that began and did not end */
  #running = new Map();
  #path;
  #pass = 0;
  #offset = 0;
  /** The beginning of an incomplete line. */
  #rest = Buffer.alloc(0);
  #heardAt = Date.now();

  /** @param {string} path where the reporter of each pass writes */
  constructor(path) {
    this.#path = path;
  }

  get executed() {
    return this.passed + this.failures.length;
  }

  /** Begins a pass. @returns the file that its reporter writes to */
  begin() {
    this.#pass += 1;
    this.#offset = 0;
    this.#rest = Buffer.alloc(0);
    this.#heardAt = Date.now();
    return this.#file();
  }

  /** Ends a pass: reads the last events. */
  end() {
    this.#read();
    this.#running.clear();
  }

  /** @returns {number} minutes since a test began, printed something or ended */
  silentMinutes() {
    this.#read();
    return (Date.now() - this.#heardAt) / 60_000;
  }

  /** @returns the tests that run now; where one runs within another, the inner one */
  running() {
    const all = [...this.#running.values()];
    return all.filter(({ file, nesting }) => !all.some((each) => each.file === file && each.nesting > nesting));
  }

  /** @param {number} count @returns tests that contain no others' time, slowest first */
  slowest(count) {
    return this.#ended.sort((a, b) => b.milliseconds - a.milliseconds).slice(0, count);
  }

  /** @param {number} count @returns files and the milliseconds that they took in all passes, slowest first */
  slowestFiles(count) {
    return [...this.#files].sort(([, a], [, b]) => b - a).slice(0, count);
  }

  #file() {
    return `${this.#path}.${this.#pass}`;
  }

  #read() {
    if (!existsSync(this.#file())) return;
    const file = openSync(this.#file(), 'r');
    try {
      const buffer = Buffer.alloc(64 * 1024);
      for (let length = readSync(file, buffer, 0, buffer.length, this.#offset); length > 0;) {
        this.#offset += length;
        this.#takeLines(Buffer.concat([this.#rest, buffer.subarray(0, length)]));
        length = readSync(file, buffer, 0, buffer.length, this.#offset);
      }
    } finally {
      closeSync(file);
    }
  }

  /** @param {Buffer} bytes */
  #takeLines(bytes) {
    const end = bytes.lastIndexOf('\n') + 1;
    this.#rest = bytes.subarray(end);
    for (const line of bytes.toString('utf8', 0, end).split('\n')) if (line !== '') this.#take(JSON.parse(line));
  }

  /** @param {TestEvent} event */
  #take(event) {
    this.#heardAt = Date.now();
    if (event.type === 'output') return;
    const key = `${event.file}\0${event.nesting}\0${event.name}`;
    if (event.type === 'dequeue') this.#running.set(key, event);
    else if (event.type === 'complete') this.#running.delete(key);
    if (event.type !== 'pass' && event.type !== 'fail') return;
    if (event.nesting === 0) this.#files.set(event.file, (this.#files.get(event.file) ?? 0) + event.milliseconds);
    if (event.skip !== undefined) this.skipped.push(event);
    else if (event.isTest) {
      if (event.type === 'pass') this.passed += 1;
      else this.failures.push(event);
      this.#ended.push(event);
    }
  }
}
