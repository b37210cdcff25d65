/** A bounded queue between a producer that starts work and a consumer that takes the results in the same order. */
export class OrderedQueue<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #wakeConsumer: (() => void) | undefined;
  #wakeProducer: (() => void) | undefined;
  #ended = false;
  #aborted = false;
  #error: Error | undefined;

  /** @param limit how many items may wait */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Waits for a place. Returns false if the consumer gave up: then the item was not taken, and the producer must stop.
   */
  async push(item: T): Promise<boolean> {
    while (this.#items.length >= this.#limit && !this.#aborted) {
      await new Promise<void>((resolve) => (this.#wakeProducer = resolve));
    }
    if (this.#aborted) return false;
    this.#items.push(item);
    this.#wake();
    return true;
  }

  /** Ends the queue. The consumer gets an error after the waiting items. */
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

  /** The next item; undefined at the end. @throws the producer's error */
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
