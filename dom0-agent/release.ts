/** The program's version, for people and for `hello`. Kept equal to package.json's by a test. */
export const RELEASE = '0.1.0';
