// Who may import whom. `npm run check -- imports` runs these rules and makes sure that every source was really looked
// at; test/check/import-rules.test.ts plants a breach of each and sees it found. Two more rules are eslint's, since
// they look at names and not at modules: ciphers, and zod's whole namespace.

const product = '^(shared|dom0-agent|vm-receiver|qubes-rpc)/';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'shared-imports-neither-side',
      comment: 'What both halves use may depend on neither, or the halves depend on each other through it.',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: '^(dom0-agent|vm-receiver|qubes-rpc)/' },
    },
    {
      name: 'agent-imports-no-receiver',
      comment: 'dom0 trusts no code of the receiver: what both need belongs in shared/.',
      severity: 'error',
      from: { path: '^dom0-agent/' },
      to: { path: '^vm-receiver/' },
    },
    {
      name: 'receiver-imports-no-agent',
      comment: 'The receiver has no code that handles keys: what both need belongs in shared/.',
      severity: 'error',
      from: { path: '^vm-receiver/' },
      to: { path: '^dom0-agent/' },
    },
    {
      name: 'agent-starts-processes-only-in-process',
      comment: 'Every program that dom0 runs as root is started in dom0-agent/process, to be read there.',
      severity: 'error',
      from: { path: '^dom0-agent/', pathNot: '^dom0-agent/process/' },
      to: { path: ['^(node:)?(child_process|cluster)$', '(^|/)node_modules/execa/'] },
    },
    {
      name: 'receiver-starts-processes-only-in-store',
      comment: 'The receiver needs flock(1) and sync(1) for its store, and nothing else.',
      severity: 'error',
      from: { path: '^vm-receiver/', pathNot: '^vm-receiver/store/' },
      to: { path: ['^(node:)?(child_process|cluster)$', '(^|/)node_modules/execa/'] },
    },
    {
      name: 'shared-starts-no-processes',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: ['^(node:)?(child_process|cluster)$', '(^|/)node_modules/execa/'] },
    },
    {
      name: 'config-only-parses',
      comment: 'The configuration is data: what is done with it is in the folders that use it.',
      severity: 'error',
      from: { path: '^dom0-agent/config/' },
      to: {
        path: '^dom0-agent/',
        pathNot: '^dom0-agent/(config/|link/|qubes/patterns[.]|source/lvm-thin/lvm-names[.])',
      },
    },
    {
      name: 'store-disk-knows-no-layout',
      comment: 'The seam at which tests fail the disk knows no names of the archive.',
      severity: 'error',
      from: { path: '^vm-receiver/store/files/disk/' },
      to: { path: '^vm-receiver/store/files/', pathNot: '^vm-receiver/store/files/disk/' },
    },
    {
      name: 'store-layout-knows-disk-alone',
      comment: 'What changes the archive builds on its layout, and not the other way round.',
      severity: 'error',
      from: { path: '^vm-receiver/store/files/layout/' },
      to: { path: '^vm-receiver/store/files/', pathNot: '^vm-receiver/store/files/(layout|disk)/' },
    },
    {
      name: 'zod-through-one-module',
      comment: 'Only shared/zod.ts has the settings and the texts of errors that every schema relies on.',
      severity: 'error',
      from: { path: [product, '^(test|[.]ci)/'], pathNot: '^shared/zod[.]ts$' },
      to: { path: '(^|/)node_modules/zod/' },
    },
    {
      name: 'product-imports-no-tests',
      comment: 'Tests, build scripts and the test runner are no part of what is installed.',
      severity: 'error',
      from: { path: product },
      to: { path: ['^(test|[.]ci)/', '^(node:)?test(/|$)'] },
    },
    {
      name: 'product-imports-no-devdependencies',
      comment: 'A package that is only there for development is not in the bundle that dom0 trusts.',
      severity: 'error',
      from: { path: product },
      // Types of Node itself are a devDependency, and leave nothing behind.
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], pathNot: '(^|/)node_modules/@types/node/' },
    },
    {
      name: 'no-unresolved-imports',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-cycles',
      comment: 'Imports of types alone count too: a cycle means that two files are about one subject.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    detectProcessBuiltinModuleCalls: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
