// Everything that runs in the guest, in this order. SPARSEBAK_GUEST_ONLY in the environment of the test run picks scenarios.

import { runScenarios, type Scenario } from './scenario.ts';

const smoke: Scenario = {
  name: 'boots',
  run: async (s) => {
    s.note(process.version);
  },
};
const all: Scenario[] = [smoke];

process.exitCode = await runScenarios(all, new RegExp(process.env.SPARSEBAK_GUEST_ONLY ?? ''));
