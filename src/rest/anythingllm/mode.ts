import type { Context } from '../../context.ts';
import type { Failure } from '../dialect.ts';
import { unauthorized } from './dialect.ts';

/** Login is required as soon as a person exists. */
const multiUserMode = async ({ services }: Context): Promise<boolean> =>
  (await services.sessions.authentication()).hasUsers;

/** Gates paths that exist only while there are no people. */
export const singleUserOnly = async (context: Context): Promise<Failure | null> =>
  (await multiUserMode(context)) ? unauthorized : null;

/** Gates paths that exist only once there are people. */
export const multiUserOnly = async (context: Context): Promise<Failure | null> =>
  (await multiUserMode(context)) ? null : unauthorized;
