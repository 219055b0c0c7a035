import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import { collectTurn } from './collect-turn.ts';
import { admitRun, type GenerationDeps, startGeneration } from './generation.ts';
import { withStoredFiles } from './message-files.ts';
import { prepareTurn, type Turn } from './prepare-turn.ts';
import { storeTurn } from './store-turn.ts';
import { checkTarget, lineOf, type Message, SendMessage, type SendMessageInput } from './turn-input.ts';
import type { TurnQueue } from './turn-queue.ts';
import { UserCounts } from './user-counts.ts';

/** Creates the service that starts the turns of chats. */
export function createTurnService({ queue, ...deps }: GenerationDeps & { queue: TurnQueue }) {
  const { limits, runs } = deps;
  /** Turns that are being prepared and are not runs yet. */
  const preparing = new UserCounts();

  /** Prepares a turn within the user's limit of concurrent turns. Throws RATE_LIMITED when it is reached. */
  async function prepare(principal: Principal, input: Message) {
    admitRun(runs, principal.userId, preparing.of(principal.userId));
    const prepared = preparing.add(principal.userId);
    try {
      return await withStoredFiles(deps, principal, input, (message) => prepareTurn(deps, principal, message));
    } finally {
      prepared();
    }
  }

  /** Starts a turn immediately. Throws SessionBusyError while the session is still answering. */
  async function begin(principal: Principal, input: Message): Promise<Turn> {
    await limits.admitTurn(principal);
    const turn = await prepare(principal, input);
    const { run, model, sessionId, userMessageId, assistantMessageId } = turn;
    if (turn.createdSession) run.emit({ type: 'sessionCreated', sessionId });
    run.emit({ type: 'messageIds', sessionId, runId: run.id, userMessageId, assistantMessageId });
    startGeneration(deps, {
      principal,
      run,
      model,
      signal: null,
      collect: (soFar) => collectTurn(deps, turn, soFar),
      store: (outcome) => storeTurn(deps, turn, outcome),
    });
    return turn;
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
