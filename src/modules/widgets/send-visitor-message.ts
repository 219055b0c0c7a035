import type { Client, Principal } from '../../authz/principal.ts';
import { AppError } from '../../errors.ts';
import { holding } from '../../store/shared/locks.ts';
import type { ChatRun } from '../chat/runs.ts';
import type { VisitorAccess } from './visitor-access.ts';
import { clientIdOf, sessionKey } from './visitor-chats.ts';
import type { VisitorDeps } from './visitor-deps.ts';
import { widgetUnavailable } from './visitor-errors.ts';
import { visitorQuotas } from './visitor-quotas.ts';
import { readTurn, type VisitorTurnInput } from './visitor-turn.ts';

/** An event of a turn as visitors receive it: text only, no documents. The last event has no text. */
export type VisitorEvent =
  | { type: 'delta'; text: string }
  | { type: 'refused'; text: string }
  | { type: 'ended'; whole: boolean }
  | { type: 'failed'; code: string; message: string };

/** Returns the error that visitors receive when the token of their widget has ended. */
const toVisitorError = (error: unknown) =>
  error instanceof AppError && error.code === 'UNAUTHENTICATED' ? widgetUnavailable() : error;

export function visitorMessages(deps: VisitorDeps, { enter, actFor }: VisitorAccess) {
  const { turns, queue, readers, shared, models } = deps;
  const admitTurn = visitorQuotas(deps);

  /** Yields the text of a run and its end. Throws NOT_FOUND when the widget is disabled. */
  async function* heard(principal: Principal, run: ChatRun, signal: AbortSignal): AsyncGenerator<VisitorEvent> {
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
      throw toVisitorError(error);
    }
  }

  return {
    /**
     * Sends a visitor's message in the chat with the widget's agent and yields the answer. Concurrent turns cannot
     * exceed the quotas. The run continues when the visitor disconnects. Throws NOT_FOUND for a widget that does not
     * exist or is disabled and for an ID that is not a UUID, FORBIDDEN for an origin that is not allowed,
     * BAD_USER_INPUT, RATE_LIMITED, CONFLICT (a turn is already running in the chat).
     */
    async send(client: Client, input: VisitorTurnInput, signal: AbortSignal): Promise<AsyncGenerator<VisitorEvent>> {
      const embed = await enter(client, input.uuid);
      const key = sessionKey(input.clientSessionId);
      if (key === null) throw new AppError('NOT_FOUND', 'CHAT_SESSION_NOT_FOUND', 'Invalid session ID.');
      const { prompt, ...turn } = readTurn(models, embed, input);
      const principal = await actFor(embed);
      const start = async () => {
        await admitTurn(embed, key);
        if (shared.revocations.ended(principal)) throw widgetUnavailable();
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
      // The turns of a widget start one at a time, so that each counts the previous one.
      const startInOrder = () => holding(shared.locks, `widget-turns ${embed.id}`, start);
      try {
        const { run } = await queue.run(principal, key, startInOrder, signal);
        return heard(principal, run, signal);
      } catch (error) {
        throw toVisitorError(error);
      }
    },
  };
}
