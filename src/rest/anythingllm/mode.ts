import type { Context } from '../../context.ts';
import type { Failure } from '../dialect.ts';
import { unauthorized } from './dialect.ts';

/** People log in as soon as there is one. */
const multiUserMode = async ({ services }: Context): Promise<boolean> =>
  (await services.sessions.authentication()).hasUsers;

/** The gate of paths that are there only while there are no people. */
export const singleUserOnly = async (context: Context): Promise<Failure | null> =>
  (await multiUserMode(context)) ? unauthorized : null;

/** The gate of paths that are there only once there are people. */
export const multiUserOnly = async (context: Context): Promise<Failure | null> =>
  (await multiUserMode(context)) ? null : unauthorized;
