// Bundles each half into one file that runs when copied alone: no package.json, no node_modules beside it. Workers are
// in the same file (main.ts asks isMainThread); a dynamic import() of our own sources becomes code that is initialised
// at its first use, so that a command loads only what it uses.

import { readFileSync, mkdirSync, renameSync, readdirSync, utimesSync, writeFileSync, chmodSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');

const bundles = [
  {
    name: 'sparsebak',
    entry: 'dom0-agent/main.ts',
    target: 'node22.15',
    format: /** @type {const} */ ('esm'),
    firstLine: '#!/usr/bin/env -S node --disallow-code-generation-from-strings',
  },
  {
    name: 'sparsebak-receiver',
    entry: 'vm-receiver/main.ts',
    target: 'node20',
    // Copied alone it has no package.json with its type, and Node before 20.19 then treats it as CommonJS.
    format: /** @type {const} */ ('cjs'),
    firstLine: '#!/usr/bin/env node',
  },
];

// CommonJS packages inside an ES module still call require() for Node's own modules.
const requireForCommonJs =
  "import { createRequire as sparsebakCreateRequire } from 'node:module'; " +
  'const require = sparsebakCreateRequire(import.meta.url);';

// A file that runs as CommonJS and as an ES module: Node may treat it as either, alone or below this package.json.
const eitherWay = {
  begin:
    '(async () => { ' +
    "const load = typeof require === 'function' ? require : (await import('node:module')).createRequire('/'); " +
    '((require, module, exports) => {',
  end: '})(load, { exports: {} }, {}); })();',
};

// msgpackr's entry for Node loads a native accelerator; its index.js is the same library without that loader.
/** @type {import('esbuild').Plugin} */
const noNativeCode = {
  name: 'no-native-code',
  setup(setup) {
    setup.onResolve({ filter: /^msgpackr$/ }, () => ({ path: join(root, 'node_modules/msgpackr/index.js') }));
    setup.onResolve({ filter: /^msgpackr-extract$|\.node$/ }, ({ path, importer }) => ({
      errors: [{ text: `native code may not enter a bundle: ${path}, imported by ${importer}` }],
    }));
  },
};

/**
 * A reader must never see an incomplete file: the bundle may be started at this moment.
 * @param {string} file @param {string} text @param {number} mode @param {Date} time
 */
function replaceFile(file, text, mode, time) {
  const draft = `${file}.${process.pid}.tmp`;
  writeFileSync(draft, text);
  chmodSync(draft, mode);
  utimesSync(draft, time, time);
  renameSync(draft, file);
}

/**
 * The packages whose code is really in the bundle, according to esbuild.
 * @param {import('esbuild').Metafile} metafile
 */
function packagesIn(metafile) {
  const folders = new Set();
  for (const output of Object.values(metafile.outputs)) {
    for (const [input, { bytesInOutput }] of Object.entries(output.inputs)) {
      const folder = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  return [...folders].sort().map((folder) => {
    const manifest = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    return { folder, manifest };
  });
}

/**
 * Code in a bundle is trusted like our own, so it must be readable: no install scripts, no native code.
 * @param {{ folder: string, manifest: any }[]} packages
 */
function refuseUnreadable(packages) {
  for (const { folder, manifest } of packages) {
    const scripts = ['preinstall', 'install', 'postinstall'].filter((name) => manifest.scripts?.[name] !== undefined);
    const native = readdirSync(join(root, folder)).filter((name) => name === 'binding.gyp' || name.endsWith('.node'));
    if (scripts.length + native.length > 0) {
      throw new Error(`${manifest.name} has ${[...scripts, ...native].join(', ')}: it may not be in a bundle`);
    }
  }
}

/** @param {{ folder: string, manifest: any }[]} packages */
function packageList(packages) {
  const rows = packages.map(({ manifest }) => `${manifest.name} ${manifest.version} ${manifest.license}`);
  const texts = packages.map(({ folder, manifest }) => {
    const file = readdirSync(join(root, folder)).find((name) => /^licen[cs]e/i.test(name));
    const text =
      file === undefined ? '(no licence file in the package)' : readFileSync(join(root, folder, file), 'utf8');
    return `--- ${manifest.name} ${manifest.version}\n\n${text.trim()}\n`;
  });
  return [...rows, '', ...texts].join('\n');
}

/** @param {typeof bundles[number]} bundle */
async function bundleOne({ name, entry, target, format, firstLine }) {
  const started = new Date();
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: `dist/${name}.js`,
    bundle: true,
    platform: 'node',
    format,
    target,
    splitting: false,
    keepNames: true,
    minifyWhitespace: false,
    minifyIdentifiers: false,
    legalComments: 'eof',
    charset: 'utf8',
    banner: { js: `${firstLine}\n${format === 'esm' ? requireForCommonJs : eitherWay.begin}` },
    footer: { js: format === 'esm' ? '' : eitherWay.end },
    plugins: [noNativeCode],
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  const text = result.outputFiles[0]?.text ?? '';
  if (!text.startsWith(`${firstLine}\n`) || /^#!/m.test(text.slice(firstLine.length))) {
    throw new Error(`${name}.js must have one first line of its own: take the #! line out of ${entry}`);
  }
  const packages = packagesIn(result.metafile);
  refuseUnreadable(packages);
  // Dated to the start of the build, so that a source that changed meanwhile counts as newer.
  replaceFile(join(dist, `${name}.packages.txt`), packageList(packages), 0o644, started);
  replaceFile(join(dist, `${name}.js`), text, 0o755, started);
  const kib = (Buffer.byteLength(text) / 1024).toFixed(0);
  console.log(`dist/${name}.js  ${kib} KiB, ${packages.length} packages`);
}

mkdirSync(dist, { recursive: true });
for (const bundle of bundles) await bundleOne(bundle);
