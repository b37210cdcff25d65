import { again } from './again.ts';

await again('restore-to-pool');
