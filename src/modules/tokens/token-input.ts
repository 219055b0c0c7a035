import { z } from 'zod';
import { plainText } from '../../zod-types.ts';

/** The name of a key or token. */
export const tokenName = plainText(100).trim().min(1, 'must not be empty');
export const scopeList = z.array(z.string()).max(100);
const year = 365 * 24 * 3600 * 1000;
/** A time in the next ten years. */
export const expiry = z
  .date()
  .refine((date) => date.getTime() > Date.now(), 'must be in the future')
  .refine((date) => date.getTime() < Date.now() + 10 * year + year / 100, 'must be within 10 years');
