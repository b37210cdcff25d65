// A first backup and a proven restore, by the commands that a package installed.

import assert from 'node:assert/strict';
import type { ScratchSystem } from './scratch-system.ts';

const VOLUME = Buffer.alloc(3 * 2 ** 20, 'as it was at the first backup ');

/** Configuration, archive and key, as a user makes them. */
export function firstBackup(system: ScratchSystem): void {
  system.write('/srv/machines/web.img', VOLUME);
  system.write('/srv/backup/.keep', '');
  system.write('/root/passphrase', 'correct horse battery staple\n', 0o600);
  const example = system.read('/usr/share/doc/sparsebak/examples/sparsebak.toml').toString();
  const config = example.replace('/var/lib/libvirt/images', '/srv/machines').replace('"reflink"', '"file"');
  system.write('/etc/sparsebak/sparsebak.toml', config);
  system.succeed('sparsebak', 'init', '--passphrase-file', '/root/passphrase');
  system.succeed('sparsebak', 'send', '--full');
  system.succeed('sparsebak', 'verify');
}

/** @param name of the file that it restores to */
export function restores(system: ScratchSystem, name: string): void {
  system.succeed('sparsebak', 'restore', 'web.img', '--to', `/var/tmp/${name}`);
  assert.ok(system.read(`/var/tmp/${name}`).equals(VOLUME));
}

/** What no package may change or remove, with checksums: archives, keys, volumes, and what the user configured. */
export function userFiles(system: ScratchSystem): string {
  const folders = ['/srv', '/var/lib/sparsebak', '/etc/sparsebak'];
  const found = system.succeed('find', ...folders, '-type', 'f', '-exec', 'sha256sum', '{}', '+');
  assert.match(found, /sparsebak\.toml/);
  assert.match(found, /archive\.json/);
  assert.equal(system.stat('/var/lib/sparsebak').mode, '700');
  return found.split('\n').sort().join('\n');
}
