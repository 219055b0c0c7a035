import { z } from 'zod';
import { plainText } from '../../zod-types.ts';

/** Properties of a person that administrators set, besides the role. */
export const remarks = {
  dailyMessageLimit: z.number().int().min(1).max(1_000_000).nullish(),
  bio: plainText(1000).nullish(),
};
