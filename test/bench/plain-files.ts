/**
 * What the file system itself takes for as many files as an archive has: a program of its own, so that it is measured
 * like the others. Its only loop is over files; it compresses, seals and checks nothing.
 *
 * Usage: plain-files.ts write|read|move|remove FOLDER COUNT BYTES
 */
import { closeSync, mkdirSync, openSync, readSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

/** As many as a range of an archive has. */
const PER_FOLDER = 1024;

const [task = '', folder = '', ...numbers] = process.argv.slice(2);
const [count = 0, bytes = 0] = numbers.map(Number);

function write(): void {
  const data = randomBytes(bytes);
  for (let at = 0; at < count; at++) {
    const range = join(folder, String(Math.floor(at / PER_FOLDER)));
    if (at % PER_FOLDER === 0) mkdirSync(range, { recursive: true });
    const fd = openSync(join(range, String(at)), 'wx');
    writeSync(fd, data);
    closeSync(fd);
  }
}

function read(): void {
  const data = Buffer.alloc(bytes);
  for (const range of readdirSync(folder)) {
    for (const name of readdirSync(join(folder, range))) {
      const fd = openSync(join(folder, range, name), 'r');
      readSync(fd, data);
      closeSync(fd);
    }
  }
}

function move(): void {
  const target = `${folder}.moved`;
  for (const range of readdirSync(folder)) {
    mkdirSync(join(target, range), { recursive: true });
    for (const name of readdirSync(join(folder, range)))
      renameSync(join(folder, range, name), join(target, range, name));
  }
  renameSync(target, `${folder}.done`);
}

const tasks: Readonly<Record<string, () => void>> = {
  write,
  read,
  move,
  remove: () => {
    rmSync(folder, { recursive: true });
  },
};
const run = tasks[task];
if (run === undefined) throw new Error(`there is no task "${task}"`);
run();
