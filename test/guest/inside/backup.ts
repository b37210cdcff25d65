// The two programs as users run them. SPARSEBAK_GUEST_ONLY in the environment of the test run picks scenarios by name.

import { beforeEach } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import './restored.ts';
import './qubes.ts';

// Scenarios that wait for nothing would hold back what the reporter has to say of the last one.
beforeEach(() => delay(50));
