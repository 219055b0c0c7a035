import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { Client } from '../authz/principal.ts';
import { type CredentialLocation, sessionOf } from '../rest/credential.ts';
import type { Caller } from '../rest/routes.ts';
import type { Services } from '../services.ts';
import type { Settings } from '../settings.ts';
import { noteToken } from './access-log.ts';
import { incomingOf, type RequestContext } from './app.ts';

export interface Authentication {
  /** Returns the client of a request with these headers. `remoteAddress` is the address of the connection. */
  clientBehind(headers: Headers, remoteAddress: string | undefined): Client;
  clientOf(c: RequestContext): Client;
  /** Returns whether a request comes from a page of this server, from an origin in the settings, or not from a page. */
  fromOwnPage(headers: Headers): boolean;
  /** Identifies the principal of a request by its headers and, where the location says so, its session cookie. */
  identify(headers: Headers, client: Client, location: CredentialLocation): Promise<Caller>;
  /** Identifies the principal and counts the request. Throws RATE_LIMITED. */
  admit(headers: Headers, client: Client, location: CredentialLocation, incoming?: IncomingMessage): Promise<Caller>;
  /** Calls `admit` for a request. */
  authenticate(c: RequestContext, location: CredentialLocation): Promise<Caller>;
}

type Deps = Pick<Services, 'credentials' | 'limits'>;

/** Creates the functions that identify the client and the principal of a request. */
export function createAuthentication(settings: Settings, { credentials, limits }: Deps): Authentication {
  /**
   * Returns the client's address from X-Forwarded-For. Entries before those of the trusted proxies are written by the
   * client and are ignored.
   */
  function forwardedFor(headers: Headers): string | null {
    if (settings.trustedProxies === 0) return null;
    const address = headers.get('x-forwarded-for')?.split(',').at(-settings.trustedProxies)?.trim();
    return address && isIP(address) ? address : null;
  }

  const clientBehind = (headers: Headers, remoteAddress: string | undefined): Client => ({
    address: forwardedFor(headers) ?? remoteAddress ?? null,
    userAgent: headers.get('user-agent'),
    origin: headers.get('origin'),
  });
  const clientOf = (c: RequestContext): Client =>
    clientBehind(c.req.raw.headers, c.env?.incoming?.socket?.remoteAddress);

  const trustedHosts = new Set(
    [settings.publicUrl, ...settings.corsOrigins].filter((origin) => origin !== '*').map(hostOf),
  );

  function fromOwnPage(headers: Headers): boolean {
    const origin = headers.get('origin');
    return origin === null || hostOf(origin) === headers.get('host') || trustedHosts.has(hostOf(origin));
  }

  /**
   * Returns the principal of a session cookie. Browsers send cookies with requests of any page: an expired session
   * counts as no credential, and so does a cookie in a request from another origin.
   */
  async function cookieHolder(headers: Headers, client: Client): Promise<Caller | null> {
    const secret = sessionOf(headers);
    if (secret === null || !fromOwnPage(headers)) return null;
    const viewer = await credentials.authenticate(secret, client);
    return viewer && { viewer, secret };
  }

  async function identify(headers: Headers, client: Client, location: CredentialLocation): Promise<Caller> {
    const secret = location.read(headers);
    const readsCookie = location.cookie === 'first' || (location.cookie === 'fallback' && secret === null);
    const caller = readsCookie ? await cookieHolder(headers, client) : null;
    if (caller !== null) return caller;
    const viewer = secret === null ? null : await credentials.authenticate(secret, client);
    return { viewer: secret === null ? null : (viewer ?? 'refused'), secret };
  }

  async function admit(
    headers: Headers,
    client: Client,
    location: CredentialLocation,
    incoming?: IncomingMessage,
  ): Promise<Caller> {
    const caller = await identify(headers, client, location);
    if (caller.viewer === null || caller.viewer === 'refused') return caller;
    noteToken(incoming, caller.viewer.credential.tokenId);
    await limits.admitRequest(caller.viewer);
    return caller;
  }

  return {
    clientBehind,
    clientOf,
    fromOwnPage,
    identify,
    admit,
    authenticate: (c, location) => admit(c.req.raw.headers, clientOf(c), location, incomingOf(c)),
  };
}

/** Returns the host and port of an origin, or the text itself. */
function hostOf(origin: string): string {
  try {
    return new URL(origin).host;
  } catch {
    return origin;
  }
}
