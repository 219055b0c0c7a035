import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { z } from 'zod';
import type { ChatModels } from '../../ai/providers.ts';
import type { Client, Principal } from '../../authz/principal.ts';
import { AppError, badInput, denied, parse, rateLimited } from '../../errors.ts';
import type { Agent, ChatMessage, Embed, Prisma } from '../../generated/prisma/client.ts';
import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import { plainText } from '../../zod-types.ts';
import { answers } from '../chat/answer.ts';
import type { ChatService } from '../chat/chat.service.ts';
import type { RunReaders } from '../chat/readers.ts';
import type { ActiveRun } from '../chat/runs.ts';
import type { TurnService } from '../chat/turn.ts';
import type { TurnQueue } from '../chat/turn-queue.ts';
import type { LimitsService } from '../limits/limits.service.ts';
import type { Authenticator } from '../tokens/authenticate.ts';
import { addressKey } from '../users/login-throttle.ts';
import { branchOfQuestion, clientIdOf, isIncluded, sessionKey } from './visitor-chats.ts';
import { uuidOf } from './widgets.service.ts';

/** Maximum length of a visitor's message, in characters. */
const maxMessageLength = 20_000;

const Turn = z.object({
  message: plainText(maxMessageLength).refine((text) => text.trim() !== '', 'Message is empty.'),
  prompt: plainText(maxMessageLength).nullish(),
  model: plainText(200).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
});

/** The widget of a visitor and the visitor's chat ID, which acts as a secret. */
export interface ChatOfVisitor {
  uuid: string;
  clientSessionId: string;
}
export type EmbedTurnInput = ChatOfVisitor & z.input<typeof Turn>;

/** An event of a turn as visitors receive it: text only, no documents. The last event has no text. */
export type VisitorEvent =
  | { type: 'delta'; text: string }
  | { type: 'refused'; text: string }
  | { type: 'ended'; whole: boolean }
  | { type: 'failed'; code: string; message: string };

/** Maximum number of requests per minute from one address to one widget. */
const requestsPerMinute = 60;
/** Period of a quota. Milliseconds. */
const day = 24 * 3600 * 1000;
/** Maximum number of exchanges in a visitor's history. */
const maxHistoryLength = 100;

/** The quotas that can be reached. */
export const quotaScopes = { embed: 'EMBED', session: 'EMBED_SESSION', address: 'EMBED_ADDRESS' } as const;

const limited = (scope: string, message: string, retryAfter: number) =>
  rateLimited('WIDGET_LIMIT', message, retryAfter, { scope });

/** Also for a widget that is disabled or whose agent was deleted: visitors do not learn which. */
const unavailable = () =>
  new AppError('NOT_FOUND', 'EMBED_NOT_FOUND', 'This chat has been disabled by the administrator - try again later.');

type OpenEmbed = Embed & { agent: Agent; tokenId: number };

interface VisitorsServiceDeps {
  db: Database;
  credentials: Authenticator;
  limits: LimitsService;
  chat: ChatService;
  turns: TurnService;
  queue: TurnQueue;
  readers: RunReaders;
  revocations: Revocations;
  models: ChatModels;
  settings: Pick<Settings, 'widgetOrigins'>;
  publicUrl: () => string;
}

/**
 * Creates the service for visitors of chat widgets, who send messages and read and delete the chat with their own ID.
 * Each call is checked in this order: the widget exists and is enabled, the rate limit of the address, the origin of
 * the page, the chat ID is a UUID, the message is valid, the quotas.
 */
export function createVisitorsService(parts: VisitorsServiceDeps) {
  const { db, credentials, limits, chat, turns, readers, queue, revocations, models, settings, publicUrl } = parts;
  const visits = new RateLimiterMemory({ points: requestsPerMinute, duration: 60 });
  /** The turn of each widget that is being started. */
  const starting = new Map<number, Promise<unknown>>();

  /** Starts the turns of a widget one at a time, so that each counts the previous one. */
  async function inOrder<T>(embedId: number, start: () => Promise<T>): Promise<T> {
    const mine = (starting.get(embedId) ?? Promise.resolve()).then(start);
    const settled = mine.catch(() => {});
    starting.set(embedId, settled);
    try {
      return await mine;
    } finally {
      if (starting.get(embedId) === settled) starting.delete(embedId);
    }
  }

  async function admitAddress(embed: Embed, client: Client): Promise<void> {
    try {
      await visits.consume(`${embed.id} ${addressKey(client)}`);
    } catch (error) {
      const seconds = error instanceof RateLimiterRes ? Math.max(1, Math.ceil(error.msBeforeNext / 1000)) : 60;
      throw limited(quotaScopes.address, 'Too many requests. Try again later.', seconds);
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

  /**
   * Returns the widget for a request. A page of this server's own origin sends no `Origin` when it only reads. Throws
   * NOT_FOUND, RATE_LIMITED, FORBIDDEN.
   */
  async function enter(client: Client, uuid: string, reads = false): Promise<OpenEmbed> {
    const embed = await lookUp(uuid);
    const tokenId = embed?.user.tokens[0]?.id;
    if (!embed?.enabled || embed.agent.deletedAt || tokenId === undefined) throw unavailable();
    await admitAddress(embed, client);
    if (!(reads && client.origin == null) && !mayShow(embed, client.origin))
      throw denied('WIDGET_ORIGIN_DENIED', 'Invalid request.');
    return { ...embed, tokenId };
  }

  /** Returns the principal of the visitors and counts the request. Throws NOT_FOUND, RATE_LIMITED. */
  async function actFor({ tokenId }: OpenEmbed): Promise<Principal> {
    const principal = await credentials.actAs(tokenId);
    if (!principal) throw unavailable();
    await limits.admitRequest(principal);
    return principal;
  }

  /**
   * Throws RATE_LIMITED when `most` questions were asked within the last 24 hours. Questions in deleted chats count;
   * questions whose turn failed do not.
   */
  async function admitWithin(most: number | null, session: Prisma.ChatSessionWhereInput, refusal: [string, string]) {
    if (most === null) return;
    const since = new Date(Date.now() - day);
    const [last] = await db.prisma.chatMessage.findMany({
      where: { role: 'USER', createdAt: { gt: since }, session, NOT: { children: { some: { status: 'FAILED' } } } },
      orderBy: { createdAt: 'desc' },
      skip: most - 1,
      take: 1,
      select: { createdAt: true },
    });
    if (last) throw limited(...refusal, Math.max(1, Math.ceil((last.createdAt.getTime() - since.getTime()) / 1000)));
  }

  async function admitTurn({ userId, maxChatsPerDay, maxChatsPerSession }: OpenEmbed, clientKey: string) {
    const again = 'quota for this chat has been reached. Try again later or contact the site owner.';
    await admitWithin(maxChatsPerDay, { userId }, [quotaScopes.embed, `The ${again}`]);
    await admitWithin(maxChatsPerSession, { userId, clientKey }, [quotaScopes.session, `Your ${again}`]);
  }

  /** Returns a message with the options that the widget allows; other options are ignored. Throws BAD_USER_INPUT. */
  function readTurn(embed: OpenEmbed, { message, prompt, model, temperature }: EmbedTurnInput) {
    const turn = parse(Turn, {
      message,
      ...(embed.allowPrompt && { prompt }),
      ...(embed.allowModel && { model }),
      ...(embed.allowTemperature && { temperature }),
    });
    // Visitors must not learn which models are configured.
    if (turn.model != null && !models.find(turn.model))
      throw badInput(['input', 'model'], 'This model is not available.');
    return turn;
  }

  /** Yields the text of a run and its end. Throws NOT_FOUND when the widget is disabled. */
  async function* heard(principal: Principal, run: ActiveRun, signal: AbortSignal): AsyncGenerator<VisitorEvent> {
    let refuses = false;
    try {
      for await (const event of readers.read(principal, run, 0, signal)) {
        if (event.type === 'answerStarted') refuses = event.isRefusal ?? false;
        else if (event.type === 'answerDelta' && refuses) return yield { type: 'refused', text: event.text };
        else if (event.type === 'answerDelta') yield { type: 'delta', text: event.text };
        else if (event.type === 'stopped') yield { type: 'ended', whole: event.reason === 'FINISHED' };
        else if (event.type === 'failed') yield { type: 'failed', code: event.code, message: event.message };
      }
    } catch (error) {
      throw error instanceof AppError && error.code === 'UNAUTHENTICATED' ? unavailable() : error;
    }
  }

  /** Selects the sessions with this chat ID, one per agent that the widget has had. */
  const sessionsWhere = ({ userId }: OpenEmbed, clientSessionId: string) => ({
    userId,
    clientKey: sessionKey(clientSessionId),
    deletedAt: null,
  });

  return {
    /**
     * Sends a visitor's message in the chat with the widget's agent and yields the answer. Concurrent turns cannot
     * exceed the quotas. The run continues when the visitor disconnects. Throws NOT_FOUND for a widget that does not
     * exist or is disabled and for an ID that is not a UUID, FORBIDDEN for an origin that is not allowed,
     * BAD_USER_INPUT, RATE_LIMITED, CONFLICT (a turn is already running in the chat).
     */
    async send(client: Client, input: EmbedTurnInput, signal: AbortSignal): Promise<AsyncGenerator<VisitorEvent>> {
      const embed = await enter(client, input.uuid);
      const key = sessionKey(input.clientSessionId);
      if (key === null) throw new AppError('NOT_FOUND', 'CHAT_SESSION_NOT_FOUND', 'Invalid session ID.');
      const { prompt, ...turn } = readTurn(embed, input);
      const principal = await actFor(embed);
      const start = async () => {
        await admitTurn(embed, key);
        if (revocations.ended(principal)) throw unavailable();
        const input = {
          ...turn,
          systemPrompt: prompt,
          chat: { agent: embed.agent.slug, clientSessionId: clientIdOf(key) },
          mode: embed.chatMode,
          historyLimit: embed.messageLimit,
          // Visitors cannot read the documents or their links.
          includeCitations: false,
        };
        return turns.start(principal, input, signal);
      };
      try {
        const { run } = await queue.run(principal, key, () => inOrder(embed.id, start), signal);
        return heard(principal, run, signal);
      } catch (error) {
        throw error instanceof AppError && error.code === 'UNAUTHENTICATED' ? unavailable() : error;
      }
    },

    /**
     * Returns the last 100 answers in a visitor's chat, oldest first; an empty list for an unknown chat. Throws
     * NOT_FOUND for a widget that does not exist or is disabled, FORBIDDEN for an origin that is not allowed,
     * RATE_LIMITED.
     */
    async history(client: Client, { uuid, clientSessionId }: ChatOfVisitor, query: object): Promise<ChatMessage[]> {
      const embed = await enter(client, uuid, true);
      await actFor(embed);
      if (sessionKey(clientSessionId) === null) return [];
      const rows = await db.prisma.chatMessage.findMany({
        where: { ...answers, session: { ...sessionsWhere(embed, clientSessionId), agentId: embed.agentId } },
        orderBy: { id: 'desc' },
        take: maxHistoryLength,
        select: { id: true, ...branchOfQuestion },
      });
      const ids = rows.filter(isIncluded).map(({ id }) => id);
      return db.prisma.chatMessage.findMany({ ...query, where: { id: { in: ids } }, orderBy: { id: 'asc' } });
    },

    /**
     * Deletes a visitor's chat, also with earlier agents of the widget, and stops a running answer. Returns whether
     * there was one. Throws like `history`.
     */
    async delete(client: Client, { uuid, clientSessionId }: ChatOfVisitor): Promise<boolean> {
      const embed = await enter(client, uuid);
      const principal = await actFor(embed);
      if (sessionKey(clientSessionId) === null) return false;
      const found = await db.prisma.chatSession.findMany({
        where: sessionsWhere(embed, clientSessionId),
        select: { id: true },
      });
      for (const { id } of found) await chat.delete(principal, id);
      return found.length > 0;
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

export type VisitorsService = ReturnType<typeof createVisitorsService>;
