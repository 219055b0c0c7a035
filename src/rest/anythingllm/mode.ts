import type { Context } from '../../context.ts';
import type { Gate } from '../endpoint.ts';
import { unauthorized } from './dialect.ts';

/** Login is required as soon as a person exists. */
const multiUserMode = async ({ services }: Context): Promise<boolean> =>
  (await services.sessions.authentication()).hasUsers;

/** Gates paths that exist only while there are no people. */
export const singleUserOnly: Gate = {
  isOpen: async (context) => !(await multiUserMode(context)),
  refusal: unauthorized,
};

/** Gates paths that exist only once there are people. */
export const multiUserOnly: Gate = { isOpen: multiUserMode, refusal: unauthorized };
