import { MemoryStore } from '../../fixtures/memory-store/memory-store.ts';
import { storeConformance } from './conformance.ts';
import { keptConformance } from './kept-conformance.ts';
import { lifeConformance } from './life-conformance.ts';

storeConformance('memory', (use) => use(new MemoryStore()));
keptConformance('memory', (use) => use(new MemoryStore()));
lifeConformance('memory', (use, rules) => use(new MemoryStore(rules)));
