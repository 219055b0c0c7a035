import { dialectAt, replyWith } from '../rest/routes.ts';
import type { App } from './app.ts';
import type { createHostCheck, HostRequest } from './host-check.ts';

/** Rejects requests for a host that this server does not serve with 421. */
export function rejectUnknownHosts(app: App, hostRefusal: ReturnType<typeof createHostCheck>): void {
  app.use(async (c, next) => {
    const refusal = hostRefusal(c.env?.incoming ?? withoutConnection(c.req.raw));
    if (refusal === null) return next();
    const { status, detail } = refusal;
    return replyWith(c, dialectAt(c.req.path).say(status, detail));
  });
}

/** Returns the host of a request that did not arrive over a connection of this process. */
const withoutConnection = ({ url, headers }: Request): HostRequest => ({
  url,
  rawHeaders: ['Host', headers.get('host') ?? new URL(url).host],
});
