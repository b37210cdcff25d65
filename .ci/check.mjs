// All checks that do not run the sources, or the named ones. Prints a line for each; all run even if one fails.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Every folder with sources. The import rules concern those of the product. */
const productFolders = ['shared', 'dom0-agent', 'vm-receiver'];
const folders = [...productFolders, 'qubes-rpc', 'test', '.ci'];

/** @typedef {{ ok: boolean, text: string, remark?: string }} Outcome */

/** @type {Record<string, { about: string, explained: string, run: () => Promise<Outcome> }>} */
const checks = {
  types: {
    about: 'tsc',
    explained: 'tsconfig.json has the options; "tsc --explainFiles" says why a file is looked at',
    run: () => tool('typescript/bin/tsc', ['--project', '.']),
  },
  lint: {
    about: 'eslint',
    explained: "the rule's name ends each line: eslint.config.js gives the reasons for ours, eslint.org the rest",
    run: () => tool('eslint/bin/eslint.js', ['--max-warnings=0', '.']),
  },
  format: {
    about: 'prettier',
    explained: 'run "npx prettier --write ." (.prettierrc.json)',
    run: () => tool('prettier/bin/prettier.cjs', ['--check', '--log-level=warn', '.']),
  },
  imports: {
    about: 'dependency-cruiser',
    explained: '.dependency-cruiser.cjs has the rules, docs/architecture.md what each folder is for',
    run: importRules,
  },
  unused: {
    about: 'knip',
    explained: 'remove what nothing uses, or the word "export" where only its own file uses it',
    run: () => tool('knip/bin/knip.js', ['--no-progress', '--no-config-hints']),
  },
};

/** @param {string} script @param {string[]} args @returns {Promise<Outcome & { stdout: string }>} */
async function tool(script, args) {
  const child = spawn(process.execPath, [join(root, 'node_modules', script), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
  /** @type {Buffer[]} */
  const out = [];
  /** @type {Buffer[]} */
  const err = [];
  child.stdout.on('data', (/** @type {Buffer} */ bytes) => out.push(bytes));
  child.stderr.on('data', (/** @type {Buffer} */ bytes) => err.push(bytes));
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const stdout = Buffer.concat(out).toString();
  return { ok: code === 0, stdout, text: stdout + Buffer.concat(err).toString() };
}

/** @param {string} folder */
function sourcesIn(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|mjs)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}

/** @param {string} folder */
function exists(folder) {
  return readdirSync(root).includes(folder);
}

/**
 * dependency-cruiser reports success when it could read nothing (for example with an unknown version of TypeScript), so
 * its result counts only if it has seen every source and imports in them.
 * @returns {Promise<Outcome>}
 */
async function importRules() {
  const present = folders.filter(exists);
  const { stdout, text } = await tool('dependency-cruiser/bin/dependency-cruise.mjs', [
    '--output-type=json',
    ...present,
  ]);
  /** @type {import('dependency-cruiser').ICruiseResult} */
  let result;
  try {
    result = JSON.parse(stdout);
  } catch {
    return { ok: false, text };
  }
  const comments = new Map(result.summary.ruleSetUsed?.forbidden?.map(({ name, comment }) => [name, comment]));
  const problems = result.summary.violations.map(({ rule, from, to, cycle }) => {
    const path = cycle?.map(({ name }) => name) ?? [to];
    const comment = comments.get(rule.name);
    return `${rule.name}: ${[from, ...path].join(' -> ')}${comment === undefined ? '' : `\n  ${comment}`}`;
  });
  const seen = new Set(result.modules.map(({ source }) => source));
  const unseen = present.flatMap(sourcesIn).filter((source) => !seen.has(source));
  problems.push(...unseen.map((source) => `not looked at: ${source}`));
  const imports = result.summary.totalDependenciesCruised ?? 0;
  if (imports === 0) problems.push('no import was seen in any source');
  return { ok: problems.length === 0, text: problems.join('\n'), remark: `${seen.size} modules, ${imports} imports` };
}

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => checks[name] === undefined);
if (unknown.length > 0) {
  console.error(`check: there is no ${unknown.join(', ')}; there are ${Object.keys(checks).join(', ')}`);
  process.exit(2);
}

const waiting = asked.length > 0 ? asked : Object.keys(checks);
let failed = 0;

async function worker() {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
    const check = checks[name];
    if (check === undefined) continue;
    const started = Date.now();
    const { ok, text, remark } = await check.run();
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    const line =
      `${ok ? 'ok    ' : 'FAILED'} ${name.padEnd(8)} ${check.about}, ` +
      `${remark === undefined ? '' : `${remark}, `}${seconds} s`;
    console.log(ok ? line : `${line}\n${text.trimEnd().replaceAll(/^/gm, '    ')}\n    → ${check.explained}`);
    if (!ok) failed += 1;
  }
}

await Promise.all(Array.from({ length: Math.min(availableParallelism(), 2) }, worker));
process.exitCode = failed === 0 ? 0 : 1;
