/** msgpackr has no types for this entry: it is the same class. */
declare module 'msgpackr/unpack-no-eval' {
  export { Unpackr } from 'msgpackr';
}
