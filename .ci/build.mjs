// Bundles each half into one file that runs when copied alone: no package.json, no node_modules beside it. Workers are
// in the same file (main.ts asks isMainThread); a dynamic import() of our own sources becomes code that is initialised
// at its first use, so that a command loads only what it uses. A start costs what the bundle's size costs, and what
// those of Node's modules cost that are loaded: so it is CommonJS, which loads them at their first use, and has no
// comments.

import {
  existsSync,
  readFileSync,
  mkdirSync,
  renameSync,
  readdirSync,
  utimesSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';
import { isLeftOut, leftOut, refuseUnknownModules } from './left-out.mjs';
import { buildManual } from './manual/build.mjs';
import { compileCache } from './programs.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');

const agentTarget = 'node22.15';

const programs = [
  {
    name: 'sparsebak',
    entry: 'dom0-agent/main.ts',
    target: agentTarget,
    firstLine: `#!/usr/bin/env -S ${compileCache} node --disallow-code-generation-from-strings`,
  },
  {
    name: 'sparsebak-receiver',
    entry: 'vm-receiver/main.ts',
    target: 'node20',
    firstLine: `#!/usr/bin/env -S ${compileCache} node`,
  },
];

// A file that runs as CommonJS and as an ES module. Copied alone it is CommonJS, because no package.json tells its
// type; below a package.json of type "module" it is the other.
const eitherWay = {
  begin:
    '(async () => { ' +
    "const load = typeof require === 'function' ? require : (await import('node:module')).createRequire('/'); " +
    "const path = typeof __filename === 'string' ? __filename : load('node:fs').realpathSync(process.argv[1]); " +
    '((require, module, exports, bundleUrl) => {',
  end: "})(load, { exports: {} }, {}, load('node:url').pathToFileURL(path).href); })();",
};

// Commands that the core does not have: dist/sparsebak-<name>.cjs from dom0-agent/families/<name>/main.ts, each loaded
// by its command alone (dom0-agent/cli/families.ts).
const familiesFolder = 'dom0-agent/families';
const families = existsSync(join(root, familiesFolder)) ? readdirSync(join(root, familiesFolder)).sort() : [];

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
 * Comments are for the sources: esbuild would print those inside classes and objects. The bundle itself is printed with
 * line ends and indentation, to be read.
 * @type {import('esbuild').Plugin}
 */
const noComments = {
  name: 'no-comments',
  setup(setup) {
    setup.onLoad({ filter: /\.(ts|js|cjs|mjs)$/ }, async ({ path }) => {
      const loader = path.endsWith('.ts') ? 'ts' : 'js';
      const { code } = await transform(readFileSync(path, 'utf8'), {
        loader,
        minifyWhitespace: true,
        legalComments: 'inline',
        target: 'esnext',
        charset: 'utf8',
      });
      return { contents: code, loader: 'js' };
    });
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
      if (folder !== undefined && bytesInOutput > 0 && !isLeftOut(input)) folders.add(folder);
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

/**
 * @typedef {{ file: string, entry: string, target: string, mode: number, banner: string, footer: string }} Bundle
 */

/** @param {typeof programs[number]} program @returns {Bundle} */
function programBundle({ name, entry, target, firstLine }) {
  const banner = `${firstLine}\n${eitherWay.begin}`;
  return { file: `${name}.js`, entry, target, mode: 0o755, banner, footer: eitherWay.end };
}

/** @param {string} name @returns {Bundle} */
function familyBundle(name) {
  return {
    file: `sparsebak-${name}.cjs`,
    entry: `${familiesFolder}/${name}/main.ts`,
    target: agentTarget,
    mode: 0o644,
    banner: "const bundleUrl = require('node:url').pathToFileURL(__filename).href;",
    footer: '',
  };
}

/** @param {Bundle} bundle */
async function bundleOne({ file, entry, target, mode, banner, footer }) {
  const started = new Date();
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: `dist/${file}`,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target,
    minifyWhitespace: false,
    minifyIdentifiers: false,
    legalComments: 'eof',
    // A text with a single character outside Latin-1 takes two bytes for each, and longer to scan.
    charset: 'ascii',
    define: { 'import.meta.url': 'bundleUrl' },
    banner: { js: banner },
    footer: { js: footer },
    plugins: [noNativeCode, leftOut, noComments],
    metafile: true,
    write: false,
    logLevel: 'warning',
  });
  const text = result.outputFiles[0]?.text ?? '';
  if (!text.startsWith(`${banner}\n`) || /^#!/m.test(text.slice(banner.length))) {
    throw new Error(`${file} must have one first line of its own: take the #! line out of ${entry}`);
  }
  const foreign = Object.keys(result.metafile.inputs).find(
    (input) => input.startsWith(`${familiesFolder}/`) && !input.startsWith(`${dirname(entry)}/`),
  );
  if (foreign !== undefined) throw new Error(`${file} may not contain ${foreign}: it is in a bundle of its own`);
  const packages = packagesIn(result.metafile);
  refuseUnreadable(packages);
  // Dated to the start of the build, so that a source that changed meanwhile counts as newer.
  replaceFile(join(dist, `${parse(file).name}.packages.txt`), packageList(packages), 0o644, started);
  replaceFile(join(dist, file), text, mode, started);
  const kib = (Buffer.byteLength(text) / 1024).toFixed(0);
  console.log(`dist/${file}  ${kib} KiB, ${packages.length} packages`);
}

mkdirSync(dist, { recursive: true });
for (const bundle of [...programs.map(programBundle), ...families.map(familyBundle)]) await bundleOne(bundle);
refuseUnknownModules();

// Each family describes its command in command.ts; only `complete` has none, since people never type it.
const described = families.filter((name) => name !== 'complete').map((name) => `${familiesFolder}/${name}/command.ts`);
const manual = await buildManual(root, dist, described, [noNativeCode, leftOut, noComments]);
console.log(`dist/man, dist/completion  ${manual.length} files`);
