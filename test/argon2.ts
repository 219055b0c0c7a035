import { createRequire } from 'node:module';

/**
 * Replaces `@node-rs/argon2` in tests that run the server from its sources: hashes cost a hundredth, since most tests
 * need an account and not the strength of its hash. Hashes of any cost are verified. The built server, and therefore
 * production, always loads the library itself.
 */
const library: typeof import('@node-rs/argon2') = createRequire(import.meta.url)('@node-rs/argon2');

const cheap = { memoryCost: 64, timeCost: 1 };

let costs: object = cheap;

/** Hashes at the cost that the server requests until the function returns. */
export async function atFullCost<Result>(run: () => Promise<Result>): Promise<Result> {
  costs = {};
  try {
    return await run();
  } finally {
    costs = cheap;
  }
}

export const hash: typeof library.hash = (password, options, signal) =>
  library.hash(password, { ...options, ...costs }, signal);

export const { verify } = library;
