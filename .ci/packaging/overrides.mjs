// What lintian calls an error and is meant, each with its reason.

import { file } from './contents.mjs';

/** @typedef {import('./contents.mjs').Entry} Entry */

/** @type {Record<string, { tag: string, reason: string }[]>} */
const overrides = {
  'sparsebak-node': [
    {
      tag: 'unstripped-binary-or-object *',
      reason: 'It is byte for byte what the project of Node.js released, so that it can be compared.',
    },
    { tag: 'embedded-library *', reason: 'The same: Node.js is released with its libraries inside.' },
  ],
};

/** @param {string} name @returns {Entry[]} */
export function lintianOverrides(name) {
  const own = overrides[name] ?? [];
  if (own.length === 0) return [];
  const lines = own.map(({ tag, reason }) => `# ${reason}\n${name}: ${tag}\n`);
  return [file(`/usr/share/lintian/overrides/${name}`, lines.join(''))];
}
