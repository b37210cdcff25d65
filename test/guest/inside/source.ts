// The source itself, in one process; then the agent on it, killed, and what it restores. SPARSEBAK_GUEST_ONLY in the
// environment of the test run picks scenarios by name.

import { beforeEach } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import './conformance.ts';
import './devices.ts';
import './metadata.ts';
import './new-volume.ts';
import './shapes.ts';
import './udev.ts';
import './killed.ts';
import './restored.ts';

// Scenarios that wait for nothing would hold back what the reporter has to say of the last one.
beforeEach(() => delay(50));
