// The source itself, in one process. SPARSEBAK_GUEST_ONLY in the environment of the test run picks scenarios by name.

import './conformance.ts';
import './metadata.ts';
import './shapes.ts';
