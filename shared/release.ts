/** The version of both programs, for people and for `hello`. A test keeps it equal to package.json's. */
export const RELEASE = '0.1.0';
