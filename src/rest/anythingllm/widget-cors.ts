import type { MiddlewareHandler } from 'hono';

const methods = 'GET, POST, DELETE, OPTIONS';

/** Returns the widget's UUID in a path. */
const uuidIn = (path: string): string => path.split('/')[3] ?? '';

/**
 * Sends CORS headers for the paths of a widget according to its own allowlist, regardless of CORS_ORIGINS. Credentials
 * are not included in such requests. `mayShow` returns which origins can use a widget.
 */
export const widgetCors =
  (mayShow: (uuid: string, origin: string) => Promise<boolean>): MiddlewareHandler =>
  async (c, next) => {
    const origin = c.req.header('origin');
    const asks = c.req.method === 'OPTIONS';
    if (asks) c.res = new Response(null, { status: 204 });
    else await next();
    const { headers } = c.res;
    headers.append('Vary', 'Origin');
    headers.delete('Access-Control-Allow-Origin');
    if (origin === undefined || !(await mayShow(uuidIn(c.req.path), origin))) return;
    headers.set('Access-Control-Allow-Origin', origin);
    if (asks) {
      headers.append('Vary', 'Access-Control-Request-Headers');
      headers.set('Access-Control-Allow-Methods', methods);
      const wanted = c.req.header('access-control-request-headers');
      if (wanted) headers.set('Access-Control-Allow-Headers', wanted);
    } else headers.set('Access-Control-Expose-Headers', 'X-Request-Id, Retry-After');
  };
