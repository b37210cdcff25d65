// Puts a package's files into a folder, as they are to be installed.

import { chmodSync, lstatSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** @typedef {import('./contents.mjs').Entry} Entry */

/** @param {string} stage an empty folder @param {readonly Entry[]} entries */
export function stageFiles(stage, entries) {
  for (const { path, mode, bytes } of entries) {
    const place = join(stage, path);
    mkdirSync(bytes === undefined ? place : dirname(place), { recursive: true, mode: 0o755 });
    if (bytes !== undefined) writeFileSync(place, bytes);
    chmodSync(place, mode);
  }
}

/**
 * Gives everything in a folder one date, and the folders one mode, whatever the umask was.
 * @param {string} folder @param {number} date in seconds since 1970
 */
export function settle(folder, date) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (lstatSync(path).isDirectory()) settle(path, date);
    else utimesSync(path, date, date);
  }
  chmodSync(folder, 0o755);
  utimesSync(folder, date, date);
}
