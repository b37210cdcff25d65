import { MemoryStore } from '../../../vm-receiver/store/memory/memory-store.ts';
import { storeConformance } from './conformance.ts';

storeConformance('memory', (use) => use(new MemoryStore()));
