/**
 * zod/mini with the settings and the English texts that every schema relies on. zod is imported from here alone, as
 * `import * as z`: so a bundle has of it only what is used, and no schema is made before the settings.
 */
import { config } from 'zod/mini';
import english from 'zod/v4/locales/en.js';

// Without `jitless` zod would build functions from text, which the agent's process forbids.
config({ ...english(), jitless: true });

export * from 'zod/mini';
