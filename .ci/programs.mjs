// What is built and how it starts, for the build and for the packages.

/**
 * Node keeps compiled code there from one start to the next, which makes a start a third cheaper. Only root can create
 * the folder or write to it; for others Node goes on without a cache.
 */
export const compileCache = 'NODE_COMPILE_CACHE=/var/cache/sparsebak';
