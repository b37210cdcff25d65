// Signatures with the user's own gpg: of each RPM, inside it, and of SHA256SUMS, beside it.

import { join } from 'node:path';
import { run } from './run.mjs';

/** @param {string} folder @param {readonly string[]} files @param {string} key as gpg names it */
export async function signRpms(folder, files, key) {
  const rpms = files.filter((file) => file.endsWith('.rpm')).map((file) => join(folder, file));
  if (rpms.length === 0) return;
  // rpm looks for gpg at one place, which is not that of every distribution.
  const gpg = (await run('sh', ['-c', 'command -v gpg'])).trim();
  const macros = { __gpg: gpg, _gpg_name: key, _gpg_digest_algo: 'sha256' };
  const defines = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  await run('rpmsign', [...defines, '--addsign', ...rpms]);
}

/** @param {string} folder @param {string} file @param {string} key */
export async function signDetached(folder, file, key) {
  const output = join(folder, `${file}.asc`);
  await run('gpg', ['--yes', '--local-user', key, '--armor', '--detach-sign', '--output', output, join(folder, file)]);
}
