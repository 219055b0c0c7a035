import { secureHeaders } from 'hono/secure-headers';
import { pagePolicy } from '../pages/pages.ts';
import type { App } from './app.ts';

/** Sets the security headers of every response. A response that has a content security policy keeps it. */
export function setSecurityHeaders(app: App): void {
  const secured = secureHeaders({
    contentSecurityPolicy: pagePolicy,
    crossOriginResourcePolicy: false,
    strictTransportSecurity: false,
    xFrameOptions: 'DENY',
    referrerPolicy: 'no-referrer',
  });
  app.use(async (c, next) => {
    let own: string | null = null;
    await secured(c, async () => {
      await next();
      own = c.res.headers.get('content-security-policy');
    });
    // The policy of an uploaded file is stricter than that of a page.
    if (own !== null) c.res.headers.set('content-security-policy', own);
  });
}
