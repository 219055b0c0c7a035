import { randomUUID } from 'node:crypto';
import type { ChatModel } from '../../ai/providers.ts';
import type { Principal } from '../../authz/principal.ts';
import { badInput } from '../../errors.ts';
import type { Agent, Prisma, ReasoningEffort } from '../../generated/prisma/client.ts';
import { instructionsOf } from '../projects/project-instructions.ts';
import type { GenerationDeps } from './generation.ts';
import { chosenModel, modelOf, promptedBy } from './overrides.ts';
import { searchActions } from './passages.ts';
import { fits, type PromptParts, type Utterance } from './prompt.ts';
import { ActiveRun } from './runs.ts';
import type { Message } from './turn-input.ts';
import { findPosition, type Position, type Spoken, spoken } from './turn-position.ts';
import { openSession } from './turn-session.ts';

/** A started turn: the message is stored and the run is active. */
export interface Turn {
  run: ActiveRun;
  sessionId: string;
  createdSession: boolean;
  userMessageId: number | null;
  assistantMessageId: number;
}

/** A turn whose messages are stored, with everything that its answer needs. */
export interface PreparedTurn extends Turn {
  principal: Principal;
  input: Message;
  agent: Agent;
  mode: Agent['chatMode'];
  model: ChatModel;
  temperature: number | null;
  reasoningEffort: ReasoningEffort | null;
  projectId: number | null;
  projectInstructions: string | null;
  question: string;
  questionId: number;
  history: Utterance[];
  /** The messages before the question, oldest first. */
  earlierIds: number[];
  searches: boolean;
  /** Where the current branch changed to this turn, and where it continued before. */
  turnedAt: { messageId: number; latestChildId: number | null; before: number | null };
}

/** Throws BAD_USER_INPUT when the message alone exceeds the context window. */
function checkLength(
  parts: Pick<PromptParts, 'agent' | 'projectInstructions' | 'question'>,
  { contextWindow, provider }: ChatModel,
  { additionalContext = null }: Message,
): void {
  // The built-in model has no context window.
  if (provider === 'embedded' || fits({ ...parts, additionalContext, contextWindow, history: [], hits: null })) return;
  const longer = (additionalContext?.length ?? 0) > parts.question.length ? 'additionalContext' : 'message';
  throw badInput(['input', longer], `is longer than the model’s context window of ${contextWindow} tokens`);
}

const utterance = ({ role, text }: Spoken): Utterance => ({ role: role === 'USER' ? 'user' : 'assistant', text });

/** Returns the last messages of a path, up to a limit, without the root. */
const latest = (path: readonly Spoken[], limit: number | null): Spoken[] => {
  const messages = path.filter(({ role }) => role !== 'SYSTEM');
  return limit === null ? messages : messages.slice(Math.max(messages.length - limit, 0));
};

/**
 * Returns whether a turn searches: the agent has the search action and the message allows it. Throws BAD_USER_INPUT for
 * a forced action that the turn cannot use.
 */
async function mustSearch(
  transaction: Prisma.TransactionClient,
  agent: Agent,
  { actionIds, forcedActionId }: Message,
): Promise<boolean> {
  const allowed = (await searchActions(transaction, agent)).filter(({ id }) => actionIds?.includes(id) ?? true);
  if (forcedActionId != null && !allowed.some(({ id }) => id === forcedActionId))
    throw badInput(
      ['input', 'forcedActionId'],
      'must be the ID of an action that the agent has and the message allows',
    );
  return allowed.length > 0;
}

/** The rows of a turn in its session. */
interface Written {
  asked: Spoken;
  reserved: { id: number };
}

/**
 * Writes the question, unless it is answered again, reserves the answer, and makes both the current branch. `fileIds`
 * are the files of the question.
 */
async function writeMessages(
  transaction: Prisma.TransactionClient,
  { parent, regenerates }: Position,
  { sessionId, text, files, model }: { sessionId: string; text: string; files: { id: string }[]; model: string },
): Promise<Written> {
  const asked = regenerates
    ? parent
    : await transaction.chatMessage.create({
        data: { sessionId, parentId: parent.id, role: 'USER', text, files: { connect: files } },
        select: spoken,
      });
  const reserved = await transaction.chatMessage.create({
    data: { sessionId, parentId: asked.id, role: 'ASSISTANT', status: 'STREAMING', model },
  });
  if (!regenerates)
    await transaction.chatMessage.update({ where: { id: parent.id }, data: { latestChildId: asked.id } });
  await transaction.chatMessage.update({ where: { id: asked.id }, data: { latestChildId: reserved.id } });
  await transaction.chatSession.update({ where: { id: sessionId }, data: { updatedAt: new Date() } });
  return { asked, reserved };
}

/**
 * Stores the message of the user, reserves the answer and records the run, in one transaction. Throws NOT_FOUND,
 * BAD_USER_INPUT, CONFLICT and RATE_LIMITED; then no data is written.
 */
export function prepareTurn(
  { db, limits, models, files }: GenerationDeps,
  principal: Principal,
  input: Message,
): Promise<PreparedTurn> {
  const runId = randomUUID();
  return db.prisma.$transaction(async (transaction) => {
    await limits.admitMessage(transaction, principal);
    const { session, agent, created } = await openSession({ transaction, models }, principal, input);
    const { id: sessionId, projectId } = session;
    const model = input.model == null ? modelOf(models, session, agent) : chosenModel(models, input.model);
    const projectInstructions = await instructionsOf(transaction, projectId);
    const position = await findPosition(transaction, principal, { session, created }, input.parent ?? {});
    const { parent, regenerates, earlier } = position;
    const { asked, reserved } = await writeMessages(transaction, position, {
      sessionId,
      text: input.message,
      files: regenerates ? [] : await files.attachable(transaction, principal, input.fileIds ?? []),
      model: model.modelId,
    });
    await transaction.run.create({
      data: { id: runId, sessionId, messageId: reserved.id, tokenId: principal.credential.tokenId },
    });
    const searches = await mustSearch(transaction, agent, input);
    const history = latest(earlier, input.historyLimit ?? agent.historyLimit);
    const prompted = promptedBy(agent, { ...session, systemPrompt: input.systemPrompt ?? session.systemPrompt });
    checkLength({ agent: prompted, projectInstructions, question: asked.text }, model, input);
    const run = new ActiveRun(runId, sessionId, principal.userId, reserved.id);
    run.projectId = projectId;
    return {
      principal,
      input,
      run,
      sessionId,
      createdSession: created,
      userMessageId: regenerates ? null : asked.id,
      assistantMessageId: reserved.id,
      agent: prompted,
      mode: input.mode ?? agent.chatMode,
      model,
      temperature: input.temperature ?? session.temperature ?? agent.temperature,
      reasoningEffort: input.reasoningEffort ?? session.reasoningEffort,
      projectId,
      projectInstructions,
      question: asked.text,
      questionId: asked.id,
      history: history.filter(({ text }) => text !== '').map(utterance),
      earlierIds: history.map(({ id }) => id),
      searches,
      turnedAt: regenerates
        ? { messageId: asked.id, latestChildId: reserved.id, before: asked.latestChildId }
        : { messageId: parent.id, latestChildId: asked.id, before: parent.latestChildId },
    };
  });
}
