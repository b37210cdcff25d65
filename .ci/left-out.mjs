// Modules of packages that the bundles do without, since nothing of ours uses what they are for: each is replaced by
// exports that do nothing, or that refuse if they are called after all. It keeps dom0's bundle small enough to be read,
// and its start short.

/** Refuses: the call is a mistake of ours, and the message says where to look. */
const refuse = (/** @type {string} */ name) =>
  `function () { throw new Error(${JSON.stringify(`${name} is left out of this bundle (.ci/left-out.mjs)`)}); }`;

/**
 * For each module the JavaScript of its exports; null is one that refuses. `default` is `module.exports` of CommonJS.
 * @type {Record<string, Record<string, string | null>>}
 */
const modules = {
  // execa: no logging of commands.
  'execa/lib/verbose/complete.js': { logResult: '() => {}' },
  'execa/lib/verbose/start.js': { logCommand: '() => {}' },
  'execa/lib/verbose/output.js': { shouldLogOutput: '() => false', logLines: null },
  // No messages between Node processes.
  'execa/lib/ipc/methods.js': { addIpcMethods: '() => {}', getIpcExport: '() => ({ getCancelSignal() {} })' },
  'execa/lib/ipc/buffer-messages.js': {
    waitForIpcOutput: 'async ({ ipcOutput }) => ipcOutput',
    getBufferedIpcOutput: 'async (_, ipcOutput) => ipcOutput',
  },
  'execa/lib/ipc/ipc-input.js': { validateIpcInputOption: '() => {}', sendIpcInput: 'async () => {}' },
  'execa/lib/terminate/graceful.js': { validateGracefulCancel: '() => {}', throwOnGracefulCancel: '() => []' },
  // No execaSync, no template strings, no scripts, no Node programs, no pipes, no commands in one text.
  'execa/lib/methods/main-sync.js': { execaCoreSync: null },
  'execa/lib/methods/template.js': { isTemplateString: '() => false', parseTemplates: null },
  'execa/lib/methods/script.js': { mapScriptAsync: null, setScriptSync: '() => {}', deepScriptOptions: '{}' },
  'execa/lib/methods/command.js': { mapCommandAsync: null, mapCommandSync: null, parseCommandString: null },
  'execa/lib/methods/node.js': {
    mapNode: null,
    handleNodeOption: '(file, commandArguments, options) => [file, commandArguments, options]',
  },
  'execa/lib/pipe/setup.js': { pipeToSubprocess: null },
  'execa/lib/convert/add.js': { addConvertedStreams: '() => {}' },
  // No stdout and stderr in one, no transforms of what a program writes.
  '@sindresorhus/merge-streams/index.js': { default: null },
  'execa/lib/transform/generator.js': { generatorToStream: null, runGeneratorsSync: null },
  // No Windows, and no programs of npm packages.
  'cross-spawn/index.js': { default: '{ _parse: (command, args, options) => ({ command, args, options }) }' },
  'npm-run-path/index.js': { npmRunPathEnv: null },
  // get-stream: for web streams in browsers.
  '@sec-ant/readable-stream/dist/ponyfill/index.js': { asyncIterator: null },
  // pino: lines go straight to stderr or the journal, without threads, files or hidden fields.
  'pino/lib/transport.js': { default: null },
  'pino/lib/multistream.js': { default: null },
  'pino/lib/caller.js': { default: '() => []' },
  'sonic-boom/index.js': { default: null },
  'on-exit-leak-free/index.js': { default: '{ register() {}, unregister() {} }' },
  '@pinojs/redact/index.js': { default: null },
};

const unused = new Set(Object.keys(modules));

const inPackage = /^(?:.*[/\\])?node_modules[/\\](.*)$/;

/** Whether this file's place is taken by code of ours. @param {string} path */
export function isLeftOut(path) {
  return modules[inPackage.exec(path)?.[1] ?? ''] !== undefined;
}

/** @type {import('esbuild').Plugin} */
export const leftOut = {
  name: 'left-out',
  setup(setup) {
    setup.onLoad({ filter: inPackage }, ({ path }) => {
      const name = inPackage.exec(path)?.[1] ?? '';
      const exports = modules[name];
      if (exports === undefined) return undefined;
      unused.delete(name);
      const lines = Object.entries(exports).map(([key, code]) => {
        const value = code ?? refuse(`${key} of ${name}`);
        if (key !== 'default') return `export const ${key} = ${value};`;
        return isCommonJs(name) ? `module.exports = ${value};` : `export default ${value};`;
      });
      return { contents: lines.join('\n'), loader: 'js' };
    });
  },
};

/** After all builds: a module that a new release of its package renamed would be back in a bundle unseen. */
export function refuseUnknownModules() {
  if (unused.size > 0) throw new Error(`left-out.mjs lists what no bundle imports: ${[...unused].join(', ')}`);
}

/** Of those with a default export. @param {string} name */
function isCommonJs(name) {
  return !name.startsWith('@sindresorhus/');
}
