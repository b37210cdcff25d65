import manifest from '../../package.json' with { type: 'json' };

/** This program's own version, for people. */
export const RELEASE: string = manifest.version;
