import type { BodyFailure } from './body-failure.ts';
import type { Release } from './shares.ts';

/** Maximum number of incomplete bodies of anonymous clients at one time, and the time limit of each. */
const incomplete = { perAddress: 16, total: 64, milliseconds: 20_000 };

const tooMany: BodyFailure = { status: 429, text: 'Too many requests with incomplete bodies.' };
const tooSlow: BodyFailure = {
  status: 408,
  text: `The body did not arrive within ${incomplete.milliseconds / 1000} seconds.`,
};

/** The incomplete bodies of anonymous clients. */
interface IncompleteBodies {
  /**
   * Adds the body of a client. When there is one too many, the oldest one fails, and so does each that takes too long.
   * Returns the function that removes the body.
   */
  add(address: string | null, fail: (reason: BodyFailure) => void): Release;
}

/** Creates the list of the incomplete bodies, with its limits: 16 of an address, 64 in total, 20 seconds for each. */
export function createIncompleteBodies(): IncompleteBodies {
  /** Oldest first. */
  const waitedFor = new Set<{ address: string | null; end(): void }>();
  return {
    add(address, fail) {
      const entry = { address, end: () => fail(tooMany) };
      const timer = setTimeout(() => fail(tooSlow), incomplete.milliseconds);
      waitedFor.add(entry);
      const ofAddress = [...waitedFor].filter((other) => other.address === address);
      if (ofAddress.length > incomplete.perAddress) ofAddress[0]?.end();
      else if (waitedFor.size > incomplete.total) [...waitedFor][0]?.end();
      return () => {
        clearTimeout(timer);
        waitedFor.delete(entry);
      };
    },
  };
}
