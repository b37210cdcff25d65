/**
 * Works that mostly wait for the disk, some at one time: the fsyncs of many volumes' states then share the writes of
 * one journal.
 */

/** More gain nothing: Node waits for the disk in four threads. */
const AT_ONCE = 16;

/**
 * Runs a work for each item, in their order where it comes to beginning. All that were begun are over when it returns
 * or throws.
 * @param work should not throw: what is left is not begun then
 */
export async function overlapped<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const item of items) {
      const one = work(item)
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => running.delete(one));
      running.add(one);
      if (running.size >= AT_ONCE) await Promise.race(running);
      if (failure !== undefined) break;
    }
  } finally {
    await Promise.all(running);
  }
  if (failure !== undefined) throw failure.error;
}
