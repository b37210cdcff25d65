/**
 * The progress of a run with several pieces of work, in bytes. The size of a piece is known only when it begins (a
 * sparse file may be mostly holes), so the total is corrected on the way; it never falls below what is done.
 */
interface Piece {
  readonly name: string;
  total: number;
  done: number;
}

export class Work {
  readonly #expected = new Map<string, number>();
  #piece: Piece | undefined;
  #begun = 0;
  #total = 0;
  #done = 0;

  /** Announces a piece; `bytes` is the best guess. */
  expect(name: string, bytes: number): void {
    this.#total += bytes - (this.#expected.get(name) ?? 0);
    this.#expected.set(name, bytes);
  }

  /** Begins a piece, expected or not; the one before it is over. */
  start(name: string, bytes: number): void {
    this.finish();
    this.#total += bytes - (this.#expected.get(name) ?? 0);
    this.#expected.delete(name);
    this.#piece = { name, total: bytes, done: 0 };
    this.#begun++;
  }

  add(bytes: number): void {
    const piece = this.#piece;
    if (piece === undefined) return;
    piece.done += bytes;
    this.#done += bytes;
    this.#resize(Math.max(piece.total, piece.done));
  }

  /** Bytes of the piece that need no work, for example holes. */
  skip(bytes: number): void {
    if (this.#piece !== undefined) this.#resize(Math.max(this.#piece.done, this.#piece.total - bytes));
  }

  /** Ends the piece, whatever is left of it. */
  finish(): void {
    if (this.#piece !== undefined) this.#resize(this.#piece.done);
    this.#piece = undefined;
  }

  #resize(bytes: number): void {
    if (this.#piece === undefined) return;
    this.#total += bytes - this.#piece.total;
    this.#piece.total = bytes;
  }

  get done(): number {
    return this.#done;
  }

  get total(): number {
    return this.#total;
  }

  /** `work/private.img`, with `(3 of 12)` if there are several. */
  get label(): string {
    const pieces = this.#begun + this.#expected.size;
    const name = this.#piece?.name ?? '';
    return pieces > 1 ? `${name} (${this.#begun} of ${pieces})` : name;
  }
}
