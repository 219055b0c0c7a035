import { isIP } from 'node:net';

/** The parts of an HTTP/1.1 request that identify the requested host. Node's `IncomingMessage` has them. */
export interface HostRequest {
  /** The request target: a path, or an absolute URL. */
  url?: string | undefined;
  /** Alternating names and values, as they were received. */
  rawHeaders: string[];
}

/** The response to a request for a host that this server does not serve. */
export interface HostRefusal {
  status: 400 | 421;
  detail: string;
}

/** An entry of `ALLOWED_HOSTS`. */
export interface AllowedHost {
  /** In lower case, without a trailing dot. */
  name: string;
  /** Also matches every subdomain. */
  subdomains: boolean;
  /** The only port that matches; null matches every port. */
  port: string | null;
}

interface Authority {
  name: string;
  port: string | null;
}

const authorityPattern = /^(?:\[([\da-f:.]+(?:%[\w.~-]+)?)\]|([\w.-]+))(?::(\d{0,5}))?$/i;

/** Splits `name:port` or `[address]:port`. Returns null for any other text. */
function parseAuthority(text: string): Authority | null {
  const match = authorityPattern.exec(text);
  if (!match) return null;
  const [, address, host, port] = match;
  if (address !== undefined) return isIP(address) === 6 ? { name: address, port: port || null } : null;
  const name = (host as string).toLowerCase().replace(/\.$/, '');
  return name === '' ? null : { name, port: port || null };
}

/**
 * Parses an entry of `ALLOWED_HOSTS`: `example.com`, `example.com:8080`, or `.example.com` for the domain and its
 * subdomains. International names are converted to their ASCII form. Returns null for anything else.
 */
export function parseAllowedHost(entry: string): AllowedHost | null {
  const subdomains = entry.startsWith('.');
  const text = subdomains ? entry.slice(1) : entry;
  const url = `http://${text}/`;
  if (/[/@?#\\*\s]/.test(text) || !URL.canParse(url)) return null;
  const authority = parseAuthority(new URL(url).hostname);
  if (!authority || authority.name.startsWith('.')) return null;
  return { name: authority.name, subdomains, port: /:(\d+)$/.exec(text.replace(/^\[.*\]/, ''))?.[1] ?? null };
}

const defaultPorts = ['80', '443'];

function matches(allowed: AllowedHost, { name, port }: Authority): boolean {
  if (allowed.port !== null && (port === null ? !defaultPorts.includes(allowed.port) : allowed.port !== port))
    return false;
  return name === allowed.name || (allowed.subdomains && name.endsWith(`.${allowed.name}`));
}

/** Returns every value of the `Host` header: a proxy and a server could each read a different one. */
function hostHeaders(rawHeaders: string[]): string[] {
  const values: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2)
    if (rawHeaders[index]?.toLowerCase() === 'host') values.push((rawHeaders[index + 1] ?? '').trim());
  return values;
}

/** Returns the authority of a request target in absolute form, which takes precedence over `Host` (RFC 9112, 3.2.2). */
const absoluteTarget = (url: string): string | undefined => /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(url)?.[1];

/**
 * Protects against DNS rebinding: if the domain name of a web page resolves to this server's address, a browser treats
 * the page and the server as the same origin. The requests of the page have that name in `Host`, so a request for a
 * name that was not configured is rejected. An IP address is accepted, because rebinding requires a name.
 *
 * `X-Forwarded-Host` is not read, because any client can send it.
 */
export function createHostCheck(publicUrl: string, allowedHosts: '*' | AllowedHost[]) {
  const served: AllowedHost[] = [
    { name: 'localhost', subdomains: false, port: null },
    { name: parseAuthority(new URL(publicUrl).hostname)?.name ?? 'localhost', subdomains: false, port: null },
    ...(allowedHosts === '*' ? [] : allowedHosts),
  ];

  function refusalOf(host: string): HostRefusal | null {
    const authority = parseAuthority(host);
    if (authority === null) return { status: 400, detail: 'The Host header is not a valid host name or IP address.' };
    if (allowedHosts === '*' || isIP(authority.name) || served.some((each) => matches(each, authority))) return null;
    return {
      status: 421,
      detail: `This server does not serve the host "${host.slice(0, 253)}". Add it to the setting ALLOWED_HOSTS, or use the host of PUBLIC_URL, localhost or an IP address.`,
    };
  }

  /** Returns the reason why a request is rejected, or null. */
  return ({ url = '', rawHeaders }: HostRequest): HostRefusal | null => {
    const [host, ...others] = hostHeaders(rawHeaders);
    if (host === undefined) return { status: 400, detail: 'The Host header is missing.' };
    if (others.length > 0) return { status: 400, detail: 'The request has more than one Host header.' };
    const target = absoluteTarget(url);
    return refusalOf(host) ?? (target === undefined ? null : refusalOf(target));
  };
}

export type HostCheck = ReturnType<typeof createHostCheck>;
