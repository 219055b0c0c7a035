import { Hono } from 'hono';
import { secureHeaders } from 'hono/secure-headers';
import { pagePolicy } from '../pages/pages.ts';

/** Returns the security headers of every response. A response that has a content security policy keeps it. */
export async function securityHeaders(): Promise<ReadonlyMap<string, string>> {
  const secured = new Hono()
    .use(
      secureHeaders({
        contentSecurityPolicy: pagePolicy,
        crossOriginResourcePolicy: false,
        strictTransportSecurity: false,
        xFrameOptions: 'DENY',
        referrerPolicy: 'no-referrer',
      }),
    )
    .get('/', (c) => c.body(null));
  return new Map((await secured.request('/')).headers);
}
