import { again } from './again.ts';

await again('resume');
