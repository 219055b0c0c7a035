import { z } from '@hono/zod-openapi';
import { graphql, type ResultOf } from '../graphql.ts';
import { isoDate } from '../onyx/shapes.ts';

/** The reply of paths that answer with an empty body. */
export const empty = z.undefined();

export const UserFields = graphql(`
  fragment AnythingLLMUser on Account @_unmask { id email username role active createdAt updatedAt }
`);

export const User = z
  .object({
    id: z.uuid(),
    username: z.string().openapi({ description: 'The username; the address of who has none.' }),
    pfpFilename: z.string().nullable(),
    role: z.enum(['admin', 'default']),
    suspended: z.union([z.literal(0), z.literal(1)]),
    seen_recovery_codes: z.boolean(),
    createdAt: isoDate,
    lastUpdatedAt: isoDate,
    dailyMessageLimit: z.int().nullable(),
    bio: z.string(),
  })
  .openapi('AnythingLLMUser');

/** The name of a role on these paths. */
export const roleName = (role: ResultOf<typeof UserFields>['role']): 'admin' | 'default' =>
  role === 'ADMIN' ? 'admin' : 'default';

export const user = (account: ResultOf<typeof UserFields>): z.input<typeof User> => ({
  id: account.id,
  username: account.username ?? account.email,
  pfpFilename: null,
  role: roleName(account.role),
  suspended: account.active ? 0 : 1,
  seen_recovery_codes: true,
  createdAt: account.createdAt,
  lastUpdatedAt: account.updatedAt,
  dailyMessageLimit: null,
  bio: '',
});
