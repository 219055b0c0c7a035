import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { Lease } from '../../store/shared/leases.ts';
import { collectTurn } from './collect-turn.ts';
import { admitAnswer, type GenerationDeps, startGeneration } from './generation.ts';
import { withStoredFiles } from './message-files.ts';
import { prepareTurn, type Turn } from './prepare-turn.ts';
import { storeTurn } from './store-turn.ts';
import { checkTarget, lineOf, type Message, SendMessage, type SendMessageInput } from './turn-input.ts';
import type { TurnQueue } from './turn-queue.ts';

/** Creates the service that starts the turns of chats. */
export function createTurnService({ queue, ...deps }: GenerationDeps & { queue: TurnQueue }) {
  const { limits } = deps;

  /** Prepares and starts a turn that is already admitted. */
  async function startTurn(principal: Principal, input: Message, lease: Lease): Promise<Turn> {
    const turn = await withStoredFiles(deps, principal, input, (message) => prepareTurn(deps, principal, message));
    const { run, model, sessionId, userMessageId, assistantMessageId } = turn;
    if (turn.createdSession) run.emit({ type: 'sessionCreated', sessionId });
    run.emit({ type: 'messageIds', sessionId, runId: run.id, userMessageId, assistantMessageId });
    await startGeneration(deps, {
      principal,
      run,
      lease,
      model,
      signal: null,
      collect: (soFar) => collectTurn(deps, turn, soFar),
      store: (outcome) => storeTurn(deps, turn, outcome),
    });
    return turn;
  }

  /** Starts a turn immediately. Throws SessionBusyError while the session is still answering. */
  async function begin(principal: Principal, input: Message): Promise<Turn> {
    await limits.admitTurn(principal);
    const lease = await admitAnswer(deps, principal.userId);
    try {
      return await startTurn(principal, input, lease);
    } catch (error) {
      await lease.release();
      throw error;
    }
  }

  return {
    /**
     * Starts a turn. When this returns, the user's message is stored, the answer's position is reserved, and the run
     * continues independently of the request. With `queue`, the message waits while its session is still answering; it
     * is dropped when `signal` aborts before its turn starts. Throws NOT_FOUND, BAD_USER_INPUT, CONFLICT (the session
     * is still answering), FORBIDDEN, RATE_LIMITED (a budget is used up, or too many answers are in progress); in all
     * of these cases, no data is written.
     */
    async start(principal: Principal, raw: SendMessageInput, signal: AbortSignal): Promise<Turn> {
      const input = parse(SendMessage, raw);
      checkTarget(input);
      const start = () => begin(principal, input);
      return input.queue && (input.sessionId || input.chat)
        ? queue.run(principal, lineOf(input), start, signal)
        : start();
    },
  };
}

export type TurnService = ReturnType<typeof createTurnService>;
