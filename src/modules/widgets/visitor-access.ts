import type { Client, Principal } from '../../authz/principal.ts';
import { denied } from '../../errors.ts';
import type { Agent, Embed } from '../../generated/prisma/client.ts';
import { secondsUntilAllowed } from '../../store/shared/counters.ts';
import { addressKey } from '../users/login-throttle.ts';
import type { VisitorDeps } from './visitor-deps.ts';
import { quotaReached, quotaScopes, widgetUnavailable } from './visitor-errors.ts';
import { uuidOf } from './widget-key.ts';

/** Maximum number of requests per minute from one address to one widget. */
const requestsPerMinute = 60;

/** A widget that is enabled, with its agent and the token that its visitors act with. */
export type OpenWidget = Embed & { agent: Agent; tokenId: number };

type Deps = Pick<VisitorDeps, 'db' | 'credentials' | 'limits' | 'shared' | 'settings' | 'publicUrl'>;

/** Creates the checks of a visitor's request. */
export function visitorAccess({ db, credentials, limits, shared, settings, publicUrl }: Deps) {
  const visits = shared.counters.create('widget-address', {
    points: requestsPerMinute,
    seconds: 60,
    onFailure: 'count-here',
  });

  async function admitAddress(embed: Embed, client: Client): Promise<void> {
    try {
      await visits.consume(`${embed.id} ${addressKey(client)}`);
    } catch (error) {
      const seconds = secondsUntilAllowed(error) ?? 60;
      throw quotaReached(quotaScopes.address, 'Too many requests. Try again later.', seconds);
    }
  }

  async function lookUp(uuid: string) {
    const known = uuidOf(uuid);
    return known === null
      ? null
      : db.prisma.embed.findUnique({
          where: { uuid: known },
          include: { agent: true, user: { select: { tokens: { where: { kind: 'EMBED' }, select: { id: true } } } } },
        });
  }

  /**
   * Returns whether a page of this origin may show the widget. A widget without a list of origins can be shown on all
   * pages, or only on pages of this server (`WIDGET_ORIGINS`).
   */
  function mayShow({ allowedOrigins }: Pick<Embed, 'allowedOrigins'>, origin: string | null | undefined): boolean {
    if (allowedOrigins.length > 0) return origin != null && allowedOrigins.includes(origin);
    return settings.widgetOrigins === 'allow' || origin === new URL(publicUrl()).origin;
  }

  return {
    /**
     * Returns the widget for a request. A page of this server's own origin sends no `Origin` when it only reads. Throws
     * NOT_FOUND, RATE_LIMITED, FORBIDDEN.
     */
    async enter(client: Client, uuid: string, reads = false): Promise<OpenWidget> {
      const embed = await lookUp(uuid);
      const tokenId = embed?.user.tokens[0]?.id;
      if (!embed?.enabled || embed.agent.deletedAt || tokenId === undefined) throw widgetUnavailable();
      await admitAddress(embed, client);
      if (!(reads && client.origin == null) && !mayShow(embed, client.origin))
        throw denied('WIDGET_ORIGIN_DENIED', 'Invalid request.');
      return { ...embed, tokenId };
    },

    /** Returns the principal of the visitors and counts the request. Throws NOT_FOUND, RATE_LIMITED. */
    async actFor({ tokenId }: OpenWidget): Promise<Principal> {
      const principal = await credentials.actAs(tokenId);
      if (!principal) throw widgetUnavailable();
      await limits.admitRequest(principal);
      return principal;
    },

    /**
     * Returns whether a page of this origin can show a widget; true for an unknown widget, which has no data to
     * protect.
     */
    async mayShow(uuid: string, origin: string): Promise<boolean> {
      const embed = await lookUp(uuid);
      return !embed || mayShow(embed, origin);
    },
  };
}

export type VisitorAccess = ReturnType<typeof visitorAccess>;
