import { untilAvailable } from '../../store/retry.ts';
import { type AnswerEnd, type AnswerSoFar, failureOf, failureWithin } from './answer-outcome.ts';
import type { GenerationDeps, Outcome } from './generation.ts';
import type { PreparedTurn } from './prepare-turn.ts';

/** Interval at which a growing answer is saved, in milliseconds: the maximum loss after a crash. */
const saveEveryMs = 1000;

const textOf = ({ text, reasoning, citations }: AnswerSoFar) => ({ text, reasoning: reasoning || null, citations });

/** Saves the text of an answer, and other values of its message. Has no effect for a message that was deleted. */
export async function saveAnswer(
  { db }: Pick<GenerationDeps, 'db'>,
  messageId: number,
  soFar: AnswerSoFar,
  values: { passages?: object[]; searchQuery?: string | null } = {},
): Promise<void> {
  await db.prisma.chatMessage.updateMany({ where: { id: messageId }, data: { ...textOf(soFar), ...values } });
}

/** Saves at most once per `saveEveryMs` while there are changes, one save at a time. */
export function answerSaver(save: () => Promise<void>) {
  let timer: NodeJS.Timeout | undefined;
  let current: Promise<void> = Promise.resolve();
  return {
    changed() {
      timer ??= setTimeout(() => {
        timer = undefined;
        // A failed save is repeated with the next change; the last save is made by `finish`, which reports errors.
        current = current.then(save).catch(() => {});
      }, saveEveryMs);
    },
    async stop() {
      clearTimeout(timer);
      await current;
    },
  };
}

/**
 * Stores the end of message and run together with the usage, so that no reader sees one without the other. For a
 * session that was deleted meanwhile, it writes no rows. A refusal and its question leave the current branch, so that
 * later prompts contain neither. With `keepsText`, the text that was saved earlier remains.
 */
async function finish(
  { db, usage }: GenerationDeps,
  turn: PreparedTurn,
  { soFar, end, use, durationMs }: Outcome,
  { keepsText = false } = {},
): Promise<void> {
  const error = failureOf(end)?.message ?? null;
  const { isRefusal, inputTokens, outputTokens } = soFar;
  const { messageId, latestChildId, before } = turn.turnedAt;
  await db.prisma.$transaction([
    db.prisma.chatMessage.updateMany({
      where: { id: turn.assistantMessageId },
      data: {
        ...(!keepsText && textOf(soFar)),
        status: end.status,
        error,
        durationMs,
        ...(isRefusal && { model: null }),
      },
    }),
    db.prisma.run.updateMany({
      where: { id: turn.run.id },
      data: {
        status: end.status === 'COMPLETE' ? 'COMPLETED' : end.status,
        error,
        ...(!keepsText && !isRefusal && { inputTokens, outputTokens }),
        endedAt: new Date(),
      },
    }),
    db.prisma.chatSession.updateMany({ where: { id: turn.sessionId }, data: { updatedAt: new Date() } }),
    ...(use ? [usage.record(turn.principal, use)] : []),
    // Unless another branch was selected meanwhile.
    ...(isRefusal
      ? [
          db.prisma.chatMessage.updateMany({
            where: { id: messageId, latestChildId },
            data: { latestChildId: before },
          }),
        ]
      : []),
  ]);
}

/**
 * Stores the end of a turn; retries while the database is unavailable. Returns the end, which is a failure when the
 * answer could not be stored. Never throws.
 */
export async function storeTurn(deps: GenerationDeps, turn: PreparedTurn, outcome: Outcome): Promise<AnswerEnd> {
  const { db, log } = deps;
  const { id } = turn.run;
  const isOver = async () => (await db.prisma.run.count({ where: { id, status: 'RUNNING' } })) === 0;
  try {
    await untilAvailable(async (repeated) => {
      // An earlier attempt saved the answer, but its reply was lost. Saving it again would count its usage twice.
      if (repeated && (await isOver())) return;
      await finish(deps, turn, outcome);
    });
    return outcome.end;
  } catch (error) {
    log.error({ error, runId: id }, 'an answer could not be saved');
    const end = failureWithin(error);
    // Ends the run with the text that was saved earlier: a run without an end would block its session.
    await finish(deps, turn, { ...outcome, end }, { keepsText: true }).catch((error: unknown) =>
      log.error({ error, runId: id }, 'the end of a turn could not be saved'),
    );
    return end;
  }
}
