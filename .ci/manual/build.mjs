// Writes man pages and completion into dist/. The sources are TypeScript, and the build may run on a Node that cannot
// load these: so they are bundled first, without what commands load when they run.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createRequire } from 'node:module';
import { build } from 'esbuild';

const load = createRequire(import.meta.url);

/** Leaves out what commands load when they run. @type {import('esbuild').Plugin} */
const noCommandCode = {
  name: 'no-command-code',
  setup(setup) {
    setup.onResolve({ filter: /./ }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    );
  },
};

/**
 * @param {string} root of the checkout
 * @param {string} dist
 * @param {readonly string[]} families sources, each of which exports one function, which adds a command
 * @param {import('esbuild').Plugin[]} plugins those of the other bundles
 * @returns {Promise<string[]>} the files, below dist/
 */
export async function buildManual(root, dist, families, plugins) {
  const bundle = join(dist, `manual.${process.pid}.cjs`);
  const names = families.map((_, at) => `family${at}`);
  await build({
    absWorkingDir: root,
    stdin: {
      contents: [
        `export { manualFiles } from './.ci/manual/main.ts';`,
        ...families.map((path, at) => `import * as ${names[at]} from './${path}';`),
        `const added = [${names.join(', ')}].flatMap((family) => Object.values(family));`,
        `export const families = added.filter((each) => typeof each === 'function');`,
      ].join('\n'),
      resolveDir: root,
      loader: 'ts',
    },
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    define: { 'import.meta.url': 'bundleUrl' },
    banner: { js: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;" },
    plugins: [...plugins, noCommandCode],
    logLevel: 'warning',
  });
  try {
    const { manualFiles, families: added } = load(bundle);
    const files = /** @type {Map<string, string>} */ (manualFiles(root, added));
    for (const folder of ['man', 'completion']) rmSync(join(dist, folder), { recursive: true, force: true });
    for (const [name, text] of files) {
      mkdirSync(dirname(join(dist, name)), { recursive: true });
      writeFileSync(join(dist, name), text);
    }
    return [...files.keys()];
  } finally {
    rmSync(bundle, { force: true });
  }
}
