import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { ChatModel, ChatModels } from '../../ai/providers.ts';
import { can, demand, type Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound, parse, rateLimited, unavailable } from '../../errors.ts';
import type { Agent, ChatMessage, ChatSession, Prisma, ReasoningEffort } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import { untilAvailable } from '../../store/retry.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import { cutText } from '../../unicode.ts';
import { databaseId, plainText } from '../../zod-types.ts';
import type { FilesService } from '../files/files.service.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import { storableDate } from '../knowledge/retrieval.ts';
import type { LimitsService } from '../limits/limits.service.ts';
import type { ModelUse, UsageService } from '../limits/usage.service.ts';
import { instructionsOf } from '../projects/projects.service.ts';
import {
  type AnswerEnd,
  type AnswerSoFar,
  answer,
  defaultRefusal,
  failureOf,
  failureWithin,
  spent,
  stopped,
  useOf,
} from './answer.ts';
import { type Attachments, gatherAttachments, isWhole } from './attachments.ts';
import { ChatReference, findChat, openChat } from './chat-locator.ts';
import { numberHits } from './citations.ts';
import type { NumberedHit } from './events.ts';
import { Attachment, decoded } from './inline-files.ts';
import { NewSession, startSession, usableAgent } from './new-session.ts';
import { chosenModel, modelOf, modelOverrides, promptedBy } from './overrides.ts';
import { fits, type PromptParts, type Utterance } from './prompt.ts';
import { ActiveRun, maxRunsPerUser, type Runs } from './runs.ts';
import { mainline, root } from './tree.ts';
import { SessionBusyError, type TurnQueue } from './turn-queue.ts';

/** Maximum number of files of one message. */
const maxFiles = 20;

const only = z
  .boolean()
  .refine((value) => value, 'must be true')
  .nullish();
/** The position of a turn in the message tree. Exactly one field must be set. */
const Parent = z
  .object({
    /** Adds the turn after the last message of the current branch. */
    continue: only,
    /** Adds the turn at the root: the model receives no earlier messages. */
    startOver: only,
    /** Adds the turn after this answer, as a new branch; or at this question, which is answered again. */
    messageId: databaseId.nullish(),
  })
  .refine((parent) => Object.values(parent).filter((value) => value != null).length === 1, {
    message: 'must contain exactly one of `continue`, `startOver` and `messageId`',
  });
type Parent = z.output<typeof Parent>;

const SendMessage = z.object({
  message: plainText(200_000),
  sessionId: z.uuid().nullish(),
  newSession: NewSession.nullish(),
  chat: ChatReference.nullish(),
  /** Overrides the mode of the agent. */
  mode: z.enum(['AUTOMATIC', 'CHAT', 'QUERY']).nullish(),
  /**
   * Null continues the current branch, so that a client that does not know this field does not lose the conversation.
   */
  parent: Parent.nullish(),
  additionalContext: plainText(200_000).nullish(),
  /** Defaults to true. */
  includeCitations: z.boolean().nullish(),
  /** These three override the options of the session. */
  ...modelOverrides,
  fileIds: z.array(z.uuid()).max(maxFiles).nullish(),
  /** Files that are sent within the message. */
  attachments: z.array(Attachment).max(maxFiles).nullish(),
  /** Null: all actions of the agent. A list: only these of them. */
  actionIds: z.array(databaseId).max(100).nullish(),
  /** An action that the turn must use. */
  forcedActionId: databaseId.nullish(),
  filters: z
    .object({
      sources: z.array(plainText(50)).max(50).nullish(),
      since: storableDate.nullish(),
      tags: z
        .array(z.object({ key: plainText(200), value: plainText(200) }))
        .max(50)
        .nullish(),
    })
    .nullish(),
  /** For a chat widget, whose own prompt or that of its visitor overrides that of the agent. */
  systemPrompt: plainText(20_000).nullish(),
  historyLimit: z.int().min(0).nullish(),
  /** If true, the message waits while the session is still answering. */
  queue: z.boolean().nullish(),
});

export type SendMessageInput = z.input<typeof SendMessage>;
type Message = z.output<typeof SendMessage>;

/** A started turn: the message is stored and the run is active. */
export interface Turn {
  run: ActiveRun;
  sessionId: string;
  createdSession: boolean;
  userMessageId: number | null;
  assistantMessageId: number;
}

/** Interval at which a growing answer is saved, in milliseconds: the maximum loss after a crash. */
const saveEveryMs = 1000;

interface TurnDeps {
  db: Database;
  knowledge: KnowledgeService;
  files: FilesService;
  runs: Runs;
  limits: LimitsService;
  usage: UsageService;
  settings: Settings;
  log: Log;
  revocations: Revocations;
  models: ChatModels;
  queue: TurnQueue;
}

/**
 * Returns the key of the queue in which a message waits: the queue of its session, which the message identifies by ID
 * or by chat reference.
 */
const lineOf = ({ sessionId, chat }: Message): string =>
  sessionId?.toLowerCase() ?? JSON.stringify([chat?.agent, chat?.threadSlug, chat?.clientSessionId]);

export function createTurnService(deps: TurnDeps) {
  const { db, knowledge, files, runs, limits, usage, settings, log, revocations, models, queue } = deps;
  type Prepared = Turn & {
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
  };

  /** Returns an existing session, locked against a second turn. Throws NOT_FOUND, CONFLICT. */
  async function lockSession(transaction: Prisma.TransactionClient, principal: Principal, id: string) {
    const where = { ...visible.chatSessions(principal), id };
    // Sessions of other users are never locked, and a session that was deleted while this waited does not exist.
    if ((await transaction.chatSession.count({ where })) === 0) throw notFound('CHAT_SESSION_NOT_FOUND');
    await transaction.$queryRaw`SELECT 1 FROM "ChatSession" WHERE "id" = ${id}::uuid FOR UPDATE`;
    const session = await transaction.chatSession.findFirst({ where });
    if (!session) throw notFound('CHAT_SESSION_NOT_FOUND');
    // One turn at a time: two answers at the same position of the tree would not know each other.
    if ((await transaction.run.count({ where: { sessionId: session.id, status: 'RUNNING' } })) > 0)
      throw new SessionBusyError(session.id);
    return { session, agent: await usableAgent(transaction, principal, session.agentId), created: false };
  }

  /** Returns the session to write to. Throws NOT_FOUND, CONFLICT. */
  async function openSession(transaction: Prisma.TransactionClient, principal: Principal, input: Message) {
    if (input.sessionId) return lockSession(transaction, principal, input.sessionId);
    if (input.chat) {
      const chat = await openChat(transaction, principal, input.chat);
      return chat.created ? chat : lockSession(transaction, principal, chat.session.id);
    }
    const asked = input.newSession ?? parse(NewSession, {});
    const at = ['input', 'newSession'];
    return { ...(await startSession(transaction, principal, models, asked, undefined, at)), created: true };
  }

  /** Throws BAD_USER_INPUT when the message alone exceeds the context window. */
  function checkLength(
    parts: Pick<PromptParts, 'agent' | 'projectInstructions' | 'question'>,
    { contextWindow, provider }: ChatModel,
    { additionalContext = null }: Message,
  ): void {
    // The built-in model has no context window.
    if (provider === 'embedded' || fits({ ...parts, additionalContext, contextWindow, history: [], hits: null }))
      return;
    const longer = (additionalContext?.length ?? 0) > parts.question.length ? 'additionalContext' : 'message';
    throw badInput(['input', longer], `is longer than the model’s context window of ${contextWindow} tokens`);
  }

  /**
   * Returns the position of the turn in the tree: the message that it follows, and whether that is a question to
   * regenerate.
   */
  function place(
    messages: readonly Spoken[],
    { startOver, messageId }: Partial<Parent>,
  ): { path: Spoken[]; regenerates: boolean } {
    const line = mainline(messages);
    if (startOver || messageId === root(messages).id) return { path: [root(messages)], regenerates: false };
    if (messageId == null) return { path: line, regenerates: false };
    const at = line.findIndex((message) => message.id === messageId);
    if (at < 0) throw elsewhere();
    return { path: line.slice(0, at + 1), regenerates: line[at]?.role === 'USER' };
  }

  /**
   * Returns the earlier messages of a session that the model receives in a turn, or null for all of them. Answers
   * reveal earlier messages, and the name of a chat can be guessed, unlike the ID of a session. In a chat that was
   * located by name, a caller without `read:chat` therefore continues only the messages of the same credential. All
   * login sessions of a person count as one.
   */
  async function ownWords(
    transaction: Prisma.TransactionClient,
    principal: Principal,
    { id, slug, clientKey }: ChatSession,
  ): Promise<ReadonlySet<number> | null> {
    const { kind, tokenId } = principal.credential;
    const named = slug !== null || clientKey !== null;
    if (!named || can(principal, 'read:chat') || kind === 'SESSION') return null;
    const answers = await transaction.chatMessage.findMany({
      where: { sessionId: id, run: { tokenId } },
      select: { id: true, parentId: true },
    });
    return new Set(answers.flatMap(({ id, parentId }) => (parentId === null ? [id] : [id, parentId])));
  }

  /** Stores the user message and reserves the assistant message, in one transaction. */
  function prepare(principal: Principal, input: Message, runId: string): Promise<Prepared> {
    return db.prisma.$transaction(async (transaction) => {
      await limits.admitMessage(transaction, principal);
      const { session, agent, created } = await openSession(transaction, principal, input);
      const model = input.model == null ? modelOf(models, session, agent) : chosenModel(models, input.model);
      const projectInstructions = await instructionsOf(transaction, session.projectId);
      const messages = await transaction.chatMessage.findMany({
        where: { sessionId: session.id },
        orderBy: { id: 'asc' },
        select: spoken,
      });
      const own = created ? null : await ownWords(transaction, principal, session);
      const { path, regenerates } = place(messages, input.parent ?? {});
      const parent = path.at(-1) ?? root(messages);
      if (regenerates && own?.has(parent.id) === false) throw elsewhere();
      const asked = regenerates
        ? parent
        : await transaction.chatMessage.create({
            data: {
              sessionId: session.id,
              parentId: parent.id,
              role: 'USER',
              text: input.message,
              files: { connect: await files.attachable(transaction, principal, input.fileIds ?? []) },
            },
            select: spoken,
          });
      const reserved = await transaction.chatMessage.create({
        data: {
          sessionId: session.id,
          parentId: asked.id,
          role: 'ASSISTANT',
          status: 'STREAMING',
          model: model.modelId,
        },
      });
      if (!regenerates)
        await transaction.chatMessage.update({ where: { id: parent.id }, data: { latestChildId: asked.id } });
      await transaction.chatMessage.update({ where: { id: asked.id }, data: { latestChildId: reserved.id } });
      await transaction.chatSession.update({ where: { id: session.id }, data: { updatedAt: new Date() } });
      await transaction.run.create({
        data: { id: runId, sessionId: session.id, messageId: reserved.id, tokenId: principal.credential.tokenId },
      });
      const searchActions = await transaction.action.findMany({
        where: { builtinKey: 'SearchTool', agents: { some: { id: agent.id } } },
        select: { id: true },
      });
      const allowed = ({ id }: { id: number }) => input.actionIds == null || input.actionIds.includes(id);
      if (input.forcedActionId != null && !searchActions.filter(allowed).some(({ id }) => id === input.forcedActionId))
        throw badInput(
          ['input', 'forcedActionId'],
          'must be the ID of an action that the agent has and the message allows',
        );
      const earlier = (regenerates ? path.slice(0, -1) : path).filter(({ id }) => own?.has(id) ?? true);
      const before = latest(earlier, input.historyLimit ?? agent.historyLimit);
      const prompted = promptedBy(agent, { ...session, systemPrompt: input.systemPrompt ?? session.systemPrompt });
      checkLength({ agent: prompted, projectInstructions, question: asked.text }, model, input);
      return {
        run: new ActiveRun(runId, session.id, principal.userId, reserved.id),
        sessionId: session.id,
        createdSession: created,
        userMessageId: regenerates ? null : asked.id,
        assistantMessageId: reserved.id,
        agent: prompted,
        mode: input.mode ?? agent.chatMode,
        model,
        temperature: input.temperature ?? session.temperature ?? agent.temperature,
        reasoningEffort: input.reasoningEffort ?? session.reasoningEffort,
        projectId: session.projectId,
        projectInstructions,
        question: asked.text,
        questionId: asked.id,
        history: before.filter(({ text }) => text !== '').map(utterance),
        earlierIds: before.map(({ id }) => id),
        searches: searchActions.some(allowed),
        turnedAt: regenerates
          ? { messageId: asked.id, latestChildId: reserved.id, before: asked.latestChildId }
          : { messageId: parent.id, latestChildId: asked.id, before: parent.latestChildId },
      };
    });
  }

  /**
   * Searches for passages, numbers them after the given ones and removes passages below the agent's score threshold. A
   * turn without search still finds the files of its agent or project that are too long to be included in full. `query`
   * is null when there was no text to search for; then `hits` is null too, unless passages were given.
   */
  async function search(
    principal: Principal,
    turn: Prepared,
    input: Message,
    { files, longFiles, earlierFiles, standing, searchable }: Attachments,
  ): Promise<{ hits: NumberedHit[] | null; query: string | null }> {
    if (!turn.searches && !searchable && longFiles.length === 0)
      return { hits: standing.length > 0 ? standing : null, query: null };
    turn.run.emit({ type: 'searchStarted' });
    turn.run.emit({ type: 'searchQueries', queries: [turn.question] });
    const given = [...files, ...earlierFiles, ...standing];
    const limit = turn.agent.passageLimit;
    const inFiles =
      longFiles.length === 0
        ? []
        : await knowledge.retrieve(principal, { query: turn.question, only: longFiles, limit });
    const elsewhere =
      turn.searches || searchable
        ? await knowledge.retrieve(principal, {
            query: turn.question,
            agentId: turn.agent.id,
            projectId: turn.projectId,
            attachedOnly: !turn.searches,
            except: given.map(({ documentId }) => documentId),
            limit,
            sources: input.filters?.sources ?? undefined,
            since: input.filters?.since ?? null,
            tags: input.filters?.tags ?? undefined,
          })
        : [];
    const alike = elsewhere.filter(({ score }) => score >= turn.agent.similarityThreshold);
    const hits = numberHits([...given, ...inFiles, ...alike]).slice(given.length);
    turn.run.emit({ type: 'searchDocuments', documents: kept([...standing, ...hits]) });
    return { hits: [...standing, ...hits], query: turn.question };
  }

  /** Returns whether the agent answers only from documents and did not find any. */
  const finds = ({ mode }: Prepared, input: Message, attachments: Attachments, passages: readonly NumberedHit[]) =>
    mode !== 'QUERY' ||
    passages.length + attachments.images.length + attachments.notes.length > 0 ||
    Boolean(input.additionalContext);

  /** Emits the refusal; no model is called. */
  function refuse({ run, agent }: Prepared, soFar: AnswerSoFar): AnswerEnd {
    if (run.signal.aborted) return stopped(run);
    soFar.text = agent.refusalText || defaultRefusal;
    run.emit({ type: 'answerStarted', documents: [], isRefusal: true });
    run.emit({ type: 'answerDelta', text: soFar.text });
    return { status: 'COMPLETE' };
  }

  /** Performs the run: retrieval, model call, saving of the answer. Never throws. */
  async function work(principal: Principal, turn: Prepared, input: Message): Promise<void> {
    const { run, assistantMessageId } = turn;
    const watch = revocations.watch(principal);
    watch.signal.addEventListener('abort', () => run.stop(), { once: true });
    if (watch.signal.aborted) run.stop();
    const startedAt = Date.now();
    const soFar: AnswerSoFar = {
      text: '',
      reasoning: '',
      citations: [],
      inputTokens: 0,
      outputTokens: 0,
      estimatedTokens: 0,
    };
    const saving = saver(() => saveMessage(assistantMessageId, soFar, {}));
    let end: AnswerEnd;
    let refused = false;
    try {
      const attachments = await gatherAttachments(
        db,
        files,
        principal,
        { ...turn, additionalContext: input.additionalContext },
        run.signal,
      );
      const { hits, query } = await search(principal, turn, input, attachments);
      const passages = kept([...attachments.files, ...attachments.earlierFiles, ...(hits ?? [])]);
      if (passages.length > 0 || hits !== null)
        await saveMessage(assistantMessageId, soFar, { passages, searchQuery: query });
      // Files that other users added to this chat earlier are history, which a caller without `read:chat` must not
      // receive.
      const asked = turn.userMessageId === null ? [] : attachments.files;
      const told = can(principal, 'read:chat') ? passages : kept([...asked, ...(hits ?? [])]);
      const limits = { modelSilenceMs: settings.modelSilenceMs, turnMs: settings.turnMs };
      const request = {
        ...turn,
        ...attachments,
        hits,
        passages,
        told,
        limits,
        additionalContext: input.additionalContext ?? null,
        advisesOperator: can(principal, 'manage:settings'),
        includeCitations: input.includeCitations ?? true,
      };
      refused = !finds(turn, input, attachments, passages);
      end = refused ? refuse(turn, soFar) : await answer(request, run, soFar, saving.changed, log);
    } catch (error) {
      log.error({ error, runId: run.id }, 'a turn failed');
      end = failureWithin(error);
    }
    await saving.stop();
    watch.done();
    const use = refused ? null : useOf(turn.model, soFar, end);
    const durationMs = Date.now() - startedAt;
    try {
      await untilAvailable(async (repeated) => {
        // An earlier attempt saved the answer, but its reply was lost. Saving it again would count its usage twice.
        if (repeated && (await isOver(run))) return;
        await finish(principal, turn, soFar, end, use, durationMs, refused);
      });
    } catch (error) {
      log.error({ error, runId: run.id }, 'an answer could not be saved');
      end = failureWithin(error);
      // Ends the run with the text that was saved earlier: a run without an end would block its session.
      await finish(principal, turn, null, end, use, durationMs, refused).catch((error: unknown) =>
        log.error({ error, runId: run.id }, 'the end of a turn could not be saved'),
      );
    }
    const failure = failureOf(end);
    if (failure) run.emit({ type: 'failed', ...failure });
    else {
      const reason = end.status === 'STOPPED' ? 'USER_CANCELLED' : 'FINISHED';
      run.emit({ type: 'stopped', reason, ...(!refused && { usage: spent(turn.model, soFar, durationMs) }) });
    }
  }

  const saveMessage = async (id: number, { text, reasoning, citations }: AnswerSoFar, extra: object) => {
    await db.prisma.chatMessage.updateMany({
      where: { id },
      data: { text, reasoning: reasoning || null, citations, ...extra },
    });
  };

  const isOver = async ({ id }: ActiveRun): Promise<boolean> =>
    (await db.prisma.run.count({ where: { id, status: 'RUNNING' } })) === 0;

  /**
   * Stores the end of message and run together with the usage, so that no reader sees one without the other. For a
   * session that was deleted meanwhile, it writes no rows. A refusal and its question leave the current branch, so that
   * later prompts contain neither.
   */
  const finish = (
    principal: Principal,
    turn: Prepared,
    soFar: AnswerSoFar | null,
    end: AnswerEnd,
    use: ModelUse | null,
    durationMs: number,
    refused: boolean,
  ) =>
    db.prisma.$transaction([
      db.prisma.chatMessage.updateMany({
        where: { id: turn.assistantMessageId },
        data: {
          ...(soFar && { text: soFar.text, reasoning: soFar.reasoning || null, citations: soFar.citations }),
          status: end.status,
          error: failureOf(end)?.message ?? null,
          durationMs,
          ...(refused && { model: null }),
        },
      }),
      db.prisma.run.updateMany({
        where: { id: turn.run.id },
        data: {
          status: end.status === 'COMPLETE' ? 'COMPLETED' : end.status,
          error: failureOf(end)?.message ?? null,
          ...(soFar && !refused && { inputTokens: soFar.inputTokens, outputTokens: soFar.outputTokens }),
          endedAt: new Date(),
        },
      }),
      db.prisma.chatSession.updateMany({ where: { id: turn.sessionId }, data: { updatedAt: new Date() } }),
      ...(use ? [usage.record(principal, use)] : []),
      ...(refused ? [turnBack(turn)] : []),
    ]);

  /** Unless another branch was selected meanwhile. */
  const turnBack = ({ turnedAt: { messageId, latestChildId, before } }: Prepared) =>
    db.prisma.chatMessage.updateMany({ where: { id: messageId, latestChildId }, data: { latestChildId: before } });

  /** Number of turns of each user that are being prepared and are not runs yet. */
  const preparing = new Map<string, number>();

  /** Prepares a turn within the user's limit of concurrent turns. Throws RATE_LIMITED when it is reached. */
  async function inTurn<T>(userId: string, prepare: () => Promise<T>): Promise<T> {
    const before = preparing.get(userId) ?? 0;
    if (runs.ofUser(userId).length + before >= maxRunsPerUser)
      throw rateLimited('TOO_MANY_ANSWERS', `Too many concurrent answers (limit: ${maxRunsPerUser}).`, 5);
    preparing.set(userId, before + 1);
    try {
      return await prepare();
    } finally {
      const left = (preparing.get(userId) ?? 1) - 1;
      if (left > 0) preparing.set(userId, left);
      else preparing.delete(userId);
    }
  }

  /** Requires that the target of a message is given in one way. Throws BAD_USER_INPUT. */
  function checkTarget({ sessionId, newSession, chat }: Message): void {
    if (sessionId && newSession) throw badInput(['input', 'newSession'], 'cannot be combined with `sessionId`');
    if (chat && (sessionId || newSession))
      throw badInput(['input', 'chat'], `cannot be combined with \`${sessionId ? 'sessionId' : 'newSession'}\``);
  }

  /**
   * Prepares a turn with the files of its message, which are stored first and deleted if the turn cannot start. Throws
   * FORBIDDEN without `write:projects`, BAD_USER_INPUT for a file that is rejected.
   */
  async function prepareWithFiles(principal: Principal, input: Message, attachments: z.output<typeof Attachment>[]) {
    demand(principal, 'write:projects');
    if (attachments.length + (input.fileIds?.length ?? 0) > maxFiles)
      throw badInput(['input', 'attachments'], `must have at most ${maxFiles} items together with \`fileIds\``);
    const uploads = attachments.map((attachment, index) => decoded(attachment, index, files.refusal));
    // A chat that does not exist is not created by a rejected message.
    if (input.chat) {
      const { session } = await findChat(db.prisma, principal, input.chat);
      if (session && runs.ofSession(session.id)) throw new SessionBusyError(session.id);
    } else if (input.sessionId) {
      const where = { ...visible.chatSessions(principal), id: input.sessionId };
      if ((await db.prisma.chatSession.count({ where })) === 0) throw notFound('CHAT_SESSION_NOT_FOUND');
    }
    const { files: stored } = await files.upload(principal, uploads);
    const fileIds = [...(input.fileIds ?? []), ...stored.map(({ id }) => id)];
    try {
      return await prepare(principal, { ...input, fileIds }, randomUUID());
    } catch (error) {
      await Promise.allSettled(stored.map(({ id }) => files.delete(principal, id)));
      throw error;
    }
  }

  /** Starts a turn immediately. Throws SessionBusyError while the session is still answering. */
  async function begin(principal: Principal, input: Message): Promise<Turn> {
    await limits.admitTurn(principal);
    if (runs.draining) throw unavailable('SERVER_SHUTDOWN', 'The server is shutting down.');
    const turn = await inTurn(principal.userId, () =>
      input.attachments?.length
        ? prepareWithFiles(principal, input, input.attachments)
        : prepare(principal, input, randomUUID()),
    );
    const { run, sessionId, projectId, userMessageId, assistantMessageId } = turn;
    run.projectId = projectId;
    if (turn.createdSession) run.emit({ type: 'sessionCreated', sessionId });
    run.emit({ type: 'messageIds', sessionId, runId: run.id, userMessageId, assistantMessageId });
    runs.start(run, () => work(principal, turn, input));
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

const elsewhere = () =>
  badInput(['input', 'parent', 'messageId'], 'The new message sent is not on the latest mainline of messages');

/** The fields of earlier messages that a turn needs. */
const spoken = { id: true, parentId: true, latestChildId: true, role: true, text: true } as const;
type Spoken = Pick<ChatMessage, keyof typeof spoken>;

const utterance = ({ role, text }: Spoken): Utterance => ({ role: role === 'USER' ? 'user' : 'assistant', text });

/** Returns the last messages of a path, up to a limit, without the root. */
const latest = (path: readonly Spoken[], limit: number | null): Spoken[] => {
  const messages = path.filter(({ role }) => role !== 'SYSTEM');
  return limit === null ? messages : messages.slice(Math.max(messages.length - limit, 0));
};

/** Characters that a message stores of a file or document in full; the rest can be read there. */
const keptOfFile = 1000;

/** Returns the passages in the form that a message stores. */
const kept = (passages: readonly NumberedHit[]): NumberedHit[] =>
  passages.map((passage) =>
    passage.source === 'user_file' || isWhole(passage)
      ? { ...passage, text: cutText(passage.text, keptOfFile) }
      : passage,
  );

/** Saves at most once per `saveEveryMs` while there are changes, one save at a time. */
function saver(save: () => Promise<void>) {
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
