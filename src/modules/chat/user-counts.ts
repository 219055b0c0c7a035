/** Counts something that each user has at the moment, such as waiting messages. */
export class UserCounts {
  private readonly counts = new Map<string, number>();

  /** The sum over all users. */
  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  of(userId: string): number {
    return this.counts.get(userId) ?? 0;
  }

  /** Counts one more for a user. Returns a function that removes it; call it once. */
  add(userId: string): () => void {
    this.counts.set(userId, this.of(userId) + 1);
    return () => {
      const left = this.of(userId) - 1;
      if (left > 0) this.counts.set(userId, left);
      else this.counts.delete(userId);
    };
  }
}
