// What takes too long for every run of the tests: a program starts in seconds here.

import { beforeEach } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import './edited.ts';
import './full.ts';
import './killed.ts';
import './counts.ts';

// Scenarios that wait for nothing would hold back what the reporter has to say of the last one.
beforeEach(() => delay(50));
