import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { can } from '../authz/principal.ts';
import { forbidden, invalidCredential, unauthenticated } from '../errors.ts';
import { executeJson, formatOf, isJsonOperation, JsonReply } from '../graphql/json-requests.ts';
import { uploadPermissions } from '../graphql/upload-permissions.ts';
import type { GraphQLServer } from '../graphql/yoga.ts';
import type { Page } from '../pages/content.ts';
import { maxPage } from '../paging.ts';
import { bearerCredential } from '../rest/credential.ts';
import type { Services } from '../services.ts';
import type { App } from './app.ts';
import type { Authentication } from './authentication.ts';
import type { AdmitBody } from './body-limits.ts';
import { multipart } from './multipart.ts';
import type { ContextFactory } from './request-context.ts';

type Deps = {
  yoga: GraphQLServer;
  /** The page of GraphiQL. */
  graphiql: Page;
  /** Whether anonymous clients receive the page. */
  isGraphiqlPublic: boolean;
  admitBody: AdmitBody;
} & Pick<Services, 'audit'> &
  Pick<Authentication, 'authenticate'> &
  Pick<ContextFactory, 'contextOf'>;

/** Serves GraphQL and GraphiQL at `/graphql`. */
export function serveGraphQL(
  app: App,
  { yoga, graphiql, isGraphiqlPublic, audit, authenticate, admitBody, contextOf }: Deps,
): void {
  app.all('/graphql', async (c) => {
    const { viewer } = await authenticate(c, bearerCredential);
    if (viewer === 'refused') throw invalidCredential();
    const asksForPage = c.req.method === 'GET' && c.req.header('accept')?.includes('text/html');
    if (asksForPage && (isGraphiqlPublic || viewer !== null)) return graphiql.respond(c);
    // Only callers with one of these permissions can upload files; the body of others is not read.
    if (multipart.test(c.req.header('content-type') ?? '')) {
      if (viewer === null) throw unauthenticated();
      if (!uploadPermissions.some((permission) => can(viewer, permission))) {
        audit.permissionRefused(viewer, 'files in /graphql');
        throw forbidden([...uploadPermissions], 'This credential cannot upload files.');
      }
    }
    await admitBody(c, viewer);
    const context = contextOf(c, viewer, maxPage);
    const format = isJsonOperation(c.req.raw) ? formatOf(c.req.header('accept') ?? null) : null;
    const response = format
      ? await executeJson(yoga, { request: c.req.raw, format }, context)
      : await yoga.fetch(c.req.raw, context);
    if (response instanceof JsonReply)
      return c.body(response.body, response.status as ContentfulStatusCode, response.headers);
    const answer = new Response(response.body, response);
    // Prevents proxies from buffering a stream of events.
    if (answer.headers.get('content-type')?.startsWith('text/event-stream'))
      answer.headers.set('X-Accel-Buffering', 'no');
    return answer;
  });
}
