// The commands of a package: small shell scripts, since a system's own `node` may be missing or too old. They choose a
// Node without starting one, which would double the time of each start; the program itself refuses one that is too old.

import { compileCache } from '../programs.mjs';

/** @typedef {'sparsebak' | 'sparsebak-receiver'} ProgramName */

/** What each program needs at least, and the options of Node that it runs with. */
const needs = {
  sparsebak: { node: '22.15', options: '--disallow-code-generation-from-strings ' },
  'sparsebak-receiver': { node: '20', options: '' },
};

/** The command in /usr/bin. @param {ProgramName} name */
export function installedLauncher(name) {
  const { node, options } = needs[name];
  return `#!/bin/sh
# Starts ${name} with the Node of the package sparsebak-node if that is installed, otherwise with that of the PATH.
lib=/usr/lib/sparsebak
node=$lib/node/bin/node
[ -x "$node" ] || node=$(command -v node || command -v nodejs) || {
  echo "${name}: there is no Node here: install the package sparsebak-node, or Node ${node} or newer" >&2
  exit 2
}
export ${compileCache}
exec "$node" ${options}"$lib/${name}.js" "$@"
`;
}

/** The command in the tarball's bin/, which may be called through symbolic links. @param {ProgramName} name */
export function portableLauncher(name) {
  const { options } = needs[name];
  return `#!/bin/sh
# Starts ${name} with the Node beside it, wherever this folder is.
bin=$(readlink -f "$0") && lib=\${bin%/bin/*}/lib/sparsebak || exit 2
export ${compileCache}
exec "$lib/node/bin/node" ${options}"$lib/${name}.js" "$@"
`;
}
