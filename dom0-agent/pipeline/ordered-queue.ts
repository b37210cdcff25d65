/**
 * A bounded queue between a producer that starts work and a consumer that takes it in the same order.
 */
export class OrderedQueue<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #wakeConsumer: (() => void) | undefined;
  #wakeProducer: (() => void) | undefined;
  #ended = false;
  #aborted = false;
  #error: Error | undefined;

  /** @param limit items that may wait at one time */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waits for a place. Answers false when the consumer gave up: the producer stops then, the item was not taken. */
  async push(item: T): Promise<boolean> {
    while (this.#items.length >= this.#limit && !this.#aborted) {
      await new Promise<void>((resolve) => (this.#wakeProducer = resolve));
    }
    if (this.#aborted) return false;
    this.#items.push(item);
    this.#wake();
    return true;
  }

  /** No more items come. With an error, the consumer gets it behind the items that wait. */
  end(error?: Error): void {
    this.#ended = true;
    this.#error = error;
    this.#wake();
  }

  /** The consumer gives up. Returns the items that it did not take. */
  abort(): T[] {
    this.#aborted = true;
    this.#wakeProducer?.();
    return this.#items.splice(0);
  }

  /** The next item; undefined at the end. @throws what the producer ended with */
  async shift(): Promise<T | undefined> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#wakeProducer?.();
        this.#wakeProducer = undefined;
        return item;
      }
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      await new Promise<void>((resolve) => (this.#wakeConsumer = resolve));
    }
  }

  #wake(): void {
    this.#wakeConsumer?.();
    this.#wakeConsumer = undefined;
  }
}
