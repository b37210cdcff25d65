// The two programs as users run them. SPARSEBAK_GUEST_ONLY in the environment of the test run picks scenarios by name.

import './qubes.ts';
import './counts.ts';
import './killed.ts';
