/**
 * Runs tasks that mostly wait for the disk, several at the same time: the fsyncs of many volumes' states then share
 * journal writes.
 */

/** More would gain nothing: Node waits for the disk in four threads. */
const AT_ONCE = 16;

/**
 * Runs `work` for each item, started in order. All that were started have ended when it returns or throws.
 * @param work should not throw: then the remaining items are not started
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
