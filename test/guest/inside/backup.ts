// The agent's commands on volumes and qubes of every sort. SPARSEBAK_GUEST_ONLY in the environment of the test run
// picks scenarios by name.

import { beforeEach } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import './qubes.ts';
import './edited.ts';
import './full.ts';
import './unreadable.ts';
import './counts.ts';
import './qubesd-driver.ts';
import './qubes-saved.ts';
import './qubes-restored.ts';

// Scenarios that wait for nothing would hold back what the reporter has to say of the last one.
beforeEach(() => delay(50));
