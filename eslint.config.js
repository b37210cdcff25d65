import js from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import ts from 'typescript-eslint';

/** The names of node:crypto that encrypt, authenticate, sign or make keys. Hashes and random bytes are for all. */
const cipherNames = [
  'default',
  'Cipheriv',
  'Decipheriv',
  'Hmac',
  'KeyObject',
  'Sign',
  'Verify',
  'createCipheriv',
  'createDecipheriv',
  'createHmac',
  'createPrivateKey',
  'createPublicKey',
  'createSecretKey',
  'createSign',
  'createVerify',
  'diffieHellman',
  'generateKey',
  'generateKeyPair',
  'generateKeyPairSync',
  'generateKeySync',
  'hkdf',
  'hkdfSync',
  'pbkdf2',
  'pbkdf2Sync',
  'privateDecrypt',
  'privateEncrypt',
  'publicDecrypt',
  'publicEncrypt',
  'scrypt',
  'scryptSync',
  'argon2',
  'argon2Sync',
  'sign',
  'subtle',
  'verify',
  'webcrypto',
];

const cipherMessage = 'Only dom0-agent/content touches ciphers.';

// no-restricted-imports with importNames would refuse the namespace import, too.
const wholeNamespace = {
  selector: 'ImportDeclaration[source.value=/zod[.]ts$/] > ImportSpecifier[imported.name="z"]',
  message: "Write import * as z from '…/shared/zod.ts': this one pulls all of zod into the bundle (400 KiB).",
};

const cipherImports = ['node:crypto', 'crypto'].map((name) => ({
  name,
  importNames: cipherNames,
  message: cipherMessage,
}));

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', 'node_modules/']),
  js.configs.recommended,
  ts.configs.strictTypeChecked,
  ts.configs.stylisticTypeChecked,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      eqeqeq: 'error',
      'max-len': ['error', { code: 120, ignoreRegExpLiterals: true, ignoreUrls: true }],
      'no-restricted-syntax': ['error', wholeNamespace],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      // A number in a message needs no ceremony.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // for (;;) and while (true) are how a protocol loop reads.
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      // A memory implementation of an asynchronous interface has nothing to wait for.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    name: 'sparsebak/ciphers-only-in-content',
    files: ['shared/**', 'dom0-agent/**', 'vm-receiver/**', 'qubes-rpc/**'],
    ignores: ['dom0-agent/content/**'],
    rules: {
      'no-restricted-imports': ['error', { paths: cipherImports }],
      'no-restricted-globals': ['error', { name: 'crypto', message: cipherMessage }],
      'no-restricted-properties': ['error', { object: 'globalThis', property: 'crypto', message: cipherMessage }],
      'no-restricted-syntax': [
        'error',
        wholeNamespace,
        { selector: 'ImportExpression[source.value=/^(node:)?crypto$/]', message: cipherMessage },
        {
          selector: 'CallExpression[callee.name="require"][arguments.0.value=/^(node:)?crypto$/]',
          message: cipherMessage,
        },
        {
          selector: 'CallExpression[callee.property.name="getBuiltinModule"][arguments.0.value=/^(node:)?crypto$/]',
          message: cipherMessage,
        },
        { selector: 'ExportAllDeclaration[source.value=/^(node:)?crypto$/]', message: cipherMessage },
      ],
    },
  },
  {
    files: ['test/**'],
    rules: {
      // node:test's describe, it and test give promises that the runner itself waits for.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['describe', 'it', 'test', 'suite'] },
          ],
        },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Titles of tests and scripts for other programs stay in one piece.
      'max-len': [
        'error',
        { code: 120, ignoreRegExpLiterals: true, ignoreStrings: true, ignoreTemplateLiterals: true, ignoreUrls: true },
      ],
    },
  },
  {
    // Plain JavaScript that runs before anything is installed: typed by comments only where it helps.
    files: ['**/*.mjs', '**/*.cjs', '**/*.js'],
    extends: [ts.configs.disableTypeChecked],
    languageOptions: {
      globals: {
        console: 'readonly',
        process: 'readonly',
        Buffer: 'readonly',
        module: 'writable',
        setTimeout: 'readonly',
        setInterval: 'readonly',
        clearInterval: 'readonly',
        performance: 'readonly',
        clearTimeout: 'readonly',
      },
    },
  },
);
