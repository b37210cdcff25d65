// Everything that runs in the guest, in this order. SPARSEBAK_GUEST_ONLY in the environment of the test run picks by name.

import './source.ts';
import './metadata.ts';
import './shapes.ts';
