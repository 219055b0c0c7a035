import { randomUUID } from 'node:crypto';
import type { JSONSchema7 } from 'ai';
import { z } from 'zod';
import type { ChatModel, ChatModels } from '../../ai/providers.ts';
import { can, type Principal } from '../../authz/principal.ts';
import { badInput, conflict, invalidCredential, parse, rateLimited, unavailable } from '../../errors.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import type { Log } from '../../log.ts';
import type { Settings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import type { Revocations } from '../../store/shared/revocations.ts';
import { plainText } from '../../zod-types.ts';
import { agentBySlug } from '../agents/by-slug.ts';
import { answer, defaultRefusal, failureOf, failureWithin, spent, useOf } from '../chat/answer.ts';
import { gatherAttachments } from '../chat/attachments.ts';
import { numberHits } from '../chat/citations.ts';
import type { NumberedHit, TurnUsage } from '../chat/events.ts';
import { modelOf, modelOverrides, promptedBy } from '../chat/overrides.ts';
import { fits } from '../chat/prompt.ts';
import { ActiveRun, maxRunsPerUser, type Runs } from '../chat/runs.ts';
import { turnError } from '../chat/turn-failure.ts';
import type { FilesService } from '../files/files.service.ts';
import type { KnowledgeService } from '../knowledge/knowledge.service.ts';
import type { LimitsService } from '../limits/limits.service.ts';
import type { UsageService } from '../limits/usage.service.ts';
import { asClientCalls, type CallPiece, type CallSettings, Heard } from './client-call.ts';
import { withFetchedImages } from './images-of-messages.ts';
import { type Conversation, lengthOfAll, Message, readConversation, standIn } from './messages.ts';

const ToolName = z.string().regex(/^[\w-]{1,64}$/, 'must be 1 to 64 letters, digits, underscores and dashes');
const JsonObject = z.record(z.string(), z.unknown());

const CreateChatCompletion = z
  .object({
    model: plainText(300),
    messages: z.array(Message).min(1, 'must not be empty').max(2000),
    tools: z
      .array(
        z.object({
          name: ToolName,
          description: plainText(20_000).nullish(),
          parameters: JsonObject.nullish(),
          strict: z.boolean().nullish(),
        }),
      )
      .max(128)
      .nullish(),
    toolChoice: z.enum(['AUTO', 'NONE', 'REQUIRED']).nullish(),
    /** The tool that must be called. */
    toolName: ToolName.nullish(),
    parallelToolCalls: z.boolean().nullish(),
    temperature: modelOverrides.temperature,
    topP: z.number().min(0).max(1).nullish(),
    maxTokens: z.number().int().min(1, 'must be at least 1').nullish(),
    stop: z.array(plainText(500).min(1)).max(16).nullish(),
    presencePenalty: z.number().min(-2).max(2).nullish(),
    frequencyPenalty: z.number().min(-2).max(2).nullish(),
    seed: z.number().int().nullish(),
    reasoningEffort: modelOverrides.reasoningEffort,
    responseFormat: z
      .object({
        type: z.enum(['TEXT', 'JSON_OBJECT', 'JSON_SCHEMA']),
        name: ToolName.nullish(),
        description: plainText(20_000).nullish(),
        schema: JsonObject.nullish(),
        strict: z.boolean().nullish(),
      })
      .nullish(),
    includeUsage: z.boolean().default(false),
  })
  .refine(({ toolName, tools }) => toolName == null || tools?.some(({ name }) => name === toolName), {
    message: 'must be the name of one of the tools',
    path: ['toolName'],
  })
  .refine(({ toolChoice, tools }) => toolChoice !== 'REQUIRED' || (tools?.length ?? 0) > 0, {
    message: 'cannot be required without `tools`',
    path: ['toolChoice'],
  });

const withoutModel = 'is not supported: this server has only the built-in model, which quotes documents';

export type CreateChatCompletionInput = z.input<typeof CreateChatCompletion>;
type Request = z.output<typeof CreateChatCompletion>;

/** Why an answer ended. */
export type FinishReason = 'STOP' | 'LENGTH' | 'TOOL_CALLS' | 'CONTENT_FILTER';

interface Head {
  /** `chatcmpl-…` */
  id: string;
  createdAt: Date;
  /** The slug of the agent. */
  model: string;
}

/** A delta of an answer, in order. The last one has the finish reason and the usage. */
export interface CompletionChunk extends Head {
  text: string | null;
  reasoning: string | null;
  refusal: string | null;
  toolCalls: CallPiece[];
  finishReason: FinishReason | null;
  usage: TurnUsage | null;
}

/** A complete answer. */
export interface Completion extends Head {
  /** Null when the model only calls tools or refuses. */
  text: string | null;
  /** The model's reasoning before the answer; null when the model did not report reasoning. */
  reasoning: string | null;
  /** The text of a refusal, when the provider distinguishes it from an answer. */
  refusal: string | null;
  toolCalls: { id: string; name: string; arguments: string }[];
  finishReason: FinishReason;
  /** Null when no model was called. */
  usage: TurnUsage | null;
}

const finishReasons: Partial<Record<NonNullable<Heard['finishReason']>, FinishReason>> = {
  length: 'LENGTH',
  'content-filter': 'CONTENT_FILTER',
  'tool-calls': 'TOOL_CALLS',
};

const finishReasonOf = ({ finishReason, calls }: Heard): FinishReason =>
  (finishReason && finishReasons[finishReason]) ?? (calls ? 'TOOL_CALLS' : 'STOP');

/** Removes fields that are null or undefined. */
const given = (input: object): object => Object.fromEntries(Object.entries(input).filter(([, value]) => value != null));

/** Returns the model options of a request. The built-in model does not call tools and does not receive any. */
function callSettings(request: Request, { provider }: ChatModel): CallSettings {
  const { maxTokens, topP, presencePenalty, frequencyPenalty, seed, stop, toolName, toolChoice } = request;
  const tools = provider === 'embedded' ? null : request.tools;
  const choice = toolName == null ? toolChoice : null;
  const { parallelToolCalls, responseFormat } = request;
  const { type, ...schema } = responseFormat ?? { type: 'TEXT' };
  const json = type === 'JSON_SCHEMA' ? { type: 'json_schema', json_schema: given(schema) } : { type: 'json_object' };
  const raw = {
    ...(tools?.length && parallelToolCalls != null && { parallel_tool_calls: parallelToolCalls }),
    ...(type !== 'TEXT' && { response_format: json }),
  };
  return {
    ...(maxTokens != null && { maxOutputTokens: maxTokens }),
    ...(topP != null && { topP }),
    ...(presencePenalty != null && { presencePenalty }),
    ...(frequencyPenalty != null && { frequencyPenalty }),
    ...(seed != null && { seed }),
    ...(stop?.length && { stopSequences: stop }),
    ...(tools?.length && {
      tools: tools.map(({ name, description, parameters, strict }) => ({
        type: 'function' as const,
        name,
        inputSchema: (parameters ?? { type: 'object', properties: {} }) as JSONSchema7,
        ...(description != null && { description }),
        ...(strict != null && { strict }),
      })),
      ...(toolName != null && { toolChoice: { type: 'tool' as const, toolName } }),
      ...(choice != null && { toolChoice: { type: choice.toLowerCase() as 'auto' | 'none' | 'required' } }),
    }),
    // Copied unchanged into the provider's request.
    providerOptions: { openaiCompatible: JSON.parse(JSON.stringify(raw)) },
  };
}

/**
 * Estimates the tokens that the model reads in addition to the packed prompt: messages after the question, tools and
 * schemas.
 */
function tokensBeside({ since }: Conversation, { tools, providerOptions }: CallSettings): number {
  const written = [tools, providerOptions?.openaiCompatible?.response_format].map((part) => JSON.stringify(part) ?? '');
  return Math.ceil((lengthOfAll(since) + written.join('').length) / 4);
}

/**
 * Throws BAD_USER_INPUT when the question exceeds the context window. `beside` is the number of tokens reserved for
 * other content.
 */
function checkLength(agent: Agent, { provider, contextWindow }: ChatModel, question: string, beside: number): void {
  if (provider === 'embedded') return;
  const parts = { agent, projectInstructions: null, question, additionalContext: null, history: [], hits: null };
  if (!fits({ ...parts, contextWindow: contextWindow - beside }))
    throw badInput(
      ['input', 'messages'],
      `exceed, together with the tools, the model’s context window of ${contextWindow} tokens`,
    );
}

interface CompletionsServiceDeps {
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
}

/**
 * Creates the service for completions: it answers messages that the client stores, with the knowledge and instructions
 * of an agent. Only the usage is stored. An answer ends when its client disconnects.
 */
export function createCompletionsService(foundation: CompletionsServiceDeps) {
  const { db, knowledge, files, runs, limits, usage, settings, log, revocations, models } = foundation;

  interface UnderWay {
    head: Head;
    run: ActiveRun;
    heard: Heard;
    includeUsage: boolean;
    /** Returns whether the caller's credential was revoked meanwhile. */
    revoked: () => boolean;
  }

  /**
   * Returns the numbered passages for a question; null when the agent does not search and has no files or documents.
   */
  async function passagesFor(
    principal: Principal,
    agent: Agent,
    question: string,
    model: ChatModel,
    signal: AbortSignal,
  ): Promise<NumberedHit[] | null> {
    const asked = { agent, projectId: null, projectInstructions: null, question, questionId: 0, earlierIds: [], model };
    const { standing, searchable } = await gatherAttachments(db, files, principal, asked, signal);
    const searches =
      (await db.prisma.action.count({ where: { builtinKey: 'SearchTool', agents: { some: { id: agent.id } } } })) > 0;
    if (!searches && !searchable) return standing.length > 0 ? standing : null;
    const found = await knowledge.retrieve(principal, {
      query: question,
      agentId: agent.id,
      attachedOnly: !searches,
      except: standing.map(({ documentId }) => documentId),
      limit: agent.passageLimit,
    });
    return numberHits([...standing, ...found.filter(({ score }) => score >= agent.similarityThreshold)]);
  }

  /**
   * Starts an answer. Throws NOT_FOUND for an agent that the principal cannot use, BAD_USER_INPUT, CONFLICT (the server
   * is shutting down), RATE_LIMITED (a budget is used up, or too many answers are running).
   */
  async function start(principal: Principal, raw: CreateChatCompletionInput, signal: AbortSignal): Promise<UnderWay> {
    const request = parse(CreateChatCompletion, raw);
    await limits.admitTurn(principal);
    const unwritten = await limits.admitUnwritten(principal);
    try {
      return await begin(principal, request, signal, unwritten.release);
    } catch (error) {
      await unwritten.release();
      throw error;
    }
  }

  /** Starts an admitted answer. `recorded` is called when its usage is stored. */
  async function begin(
    principal: Principal,
    request: z.output<typeof CreateChatCompletion>,
    signal: AbortSignal,
    recorded: () => Promise<void>,
  ): Promise<UnderWay> {
    const chosen = await agentBySlug(db.prisma, principal, request.model);
    const model = modelOf(models, chosen);
    const messages = model.sees
      ? await withFetchedImages(request.messages, { allowedHosts: settings.linkAllowedHosts, signal })
      : request.messages;
    const conversation = readConversation(messages, model.sees);
    const { systemPrompt, question, earlier, images } = conversation;
    const agent = promptedBy(chosen, { systemPrompt, taskPrompt: null });
    const writesJson = request.responseFormat != null && request.responseFormat.type !== 'TEXT';
    if (writesJson && model.provider === 'embedded') throw badInput(['input', 'responseFormat'], withoutModel);
    if (model.provider === 'embedded' && (request.toolName != null || request.toolChoice === 'REQUIRED'))
      throw badInput(['input', request.toolName == null ? 'toolChoice' : 'toolName'], withoutModel);
    const callsWith = callSettings(request, model);
    const beside = tokensBeside(conversation, callsWith);
    checkLength(agent, model, question, beside);
    const hits = await passagesFor(principal, agent, question, model, signal);

    if (runs.draining) throw unavailable('SERVER_SHUTDOWN', 'The server is shutting down.');
    if (runs.ofUser(principal.userId).length >= maxRunsPerUser)
      throw rateLimited('TOO_MANY_ANSWERS', `Too many concurrent answers (limit: ${maxRunsPerUser}).`, 5);
    const heard = new Heard();
    const id = randomUUID();
    // Its session does not exist: only the client that requested a completion can read it.
    const run = new ActiveRun(id, randomUUID(), principal.userId, 0);
    const soFar = { text: '', reasoning: '', citations: [], inputTokens: 0, outputTokens: 0, estimatedTokens: 0 };
    const startedAt = performance.now();
    const watch = revocations.watch(principal);
    const work = async () => {
      const stop = () => run.stop();
      const gone = AbortSignal.any([signal, watch.signal]);
      gone.addEventListener('abort', stop, { once: true });
      if (gone.aborted) stop();
      const asked = {
        agent,
        projectInstructions: null,
        model: {
          ...model,
          model: asClientCalls(model.model, conversation, callsWith, heard),
          contextWindow: model.contextWindow - beside,
        },
        temperature: request.temperature ?? agent.temperature,
        reasoningEffort: request.reasoningEffort ?? null,
        history: earlier.map(standIn),
        question,
        files: [],
        earlierFiles: [],
        notes: [],
        images,
        earlierImages: [],
        hits,
        // In JSON, a number in brackets is a list and not a citation.
        passages: writesJson ? [] : (hits ?? []),
        told: [],
        additionalContext: null,
        includeCitations: true,
        advisesOperator: can(principal, 'manage:settings'),
        limits: { modelSilenceMs: settings.modelSilenceMs, turnMs: settings.turnMs },
      };
      let end = await answer(asked, run, soFar, () => {}, log).catch((error: unknown) => {
        log.error({ error, runId: id }, 'a completion failed');
        return failureWithin(error);
      });
      // When the provider reports no usage, the estimate covers the packed prompt only.
      if (!heard.counted && soFar.inputTokens > 0) {
        soFar.inputTokens += beside;
        soFar.estimatedTokens += beside;
      }
      // A model that only calls tools returns no text, and neither does one with too few output tokens.
      if ('failure' in end && !run.signal.aborted && heard.finishReason !== null && heard.finishReason !== 'error')
        end = { status: 'COMPLETE' };
      gone.removeEventListener('abort', stop);
      watch.done();
      const durationMs = Math.round(performance.now() - startedAt);
      const use = useOf(model, soFar, end);
      if (use)
        await usage
          .record(principal, use)
          .catch((error: unknown) => log.error({ error, runId: id }, 'what a completion cost could not be recorded'));
      await recorded();
      const reason = end.status === 'STOPPED' ? 'USER_CANCELLED' : 'FINISHED';
      const failure = failureOf(end);
      if (failure) run.emit({ type: 'failed', ...failure });
      else run.emit({ type: 'stopped', reason, usage: spent(model, soFar, durationMs) });
    };
    if (agent.chatMode === 'QUERY' && (hits ?? []).length + images.length === 0) {
      watch.done();
      await recorded();
      run.emit({ type: 'answerStarted', documents: [], isRefusal: true });
      run.emit({ type: 'answerDelta', text: agent.refusalText || defaultRefusal });
      run.emit({ type: 'stopped', reason: 'FINISHED' });
    } else runs.start(run, work);
    return {
      head: { id: `chatcmpl-${id}`, createdAt: new Date(), model: chosen.slug },
      run,
      heard,
      includeUsage: request.includeUsage,
      revoked: () => watch.signal.aborted,
    };
  }

  /**
   * Yields an answer as it is generated. Throws UPSTREAM_FAILED and similar errors when it breaks off. The answer ends
   * when its reader stops.
   */
  async function* read({ head, run, heard, includeUsage, revoked }: UnderWay): AsyncGenerator<CompletionChunk> {
    const chunk = { text: null, reasoning: null, refusal: null, toolCalls: [], finishReason: null, usage: null };
    const nothing = { ...head, ...chunk };
    try {
      for await (const event of run.read(0)) {
        const { toolCalls, refusal, reasoning } = heard.take();
        if (reasoning !== null) yield { ...nothing, reasoning };
        if (refusal !== null) yield { ...nothing, refusal };
        if (toolCalls.length > 0) yield { ...nothing, toolCalls };
        if (event.type === 'answerDelta') yield { ...nothing, text: event.text };
        else if (event.type === 'failed') throw turnError(event);
        else if (event.type === 'stopped') {
          if (event.reason === 'USER_CANCELLED')
            throw revoked() ? invalidCredential() : conflict('ANSWER_STOPPED', 'The answer was stopped.');
          yield { ...nothing, finishReason: finishReasonOf(heard), usage: event.usage ?? null };
          if (includeUsage) yield { ...nothing, usage: event.usage ?? null };
        }
      }
    } finally {
      run.stop();
    }
  }

  return {
    /**
     * Answers a client's messages as an agent, without storing them. Throws NOT_FOUND, BAD_USER_INPUT, RATE_LIMITED,
     * CONFLICT, UPSTREAM_FAILED.
     */
    async create(principal: Principal, input: CreateChatCompletionInput, signal: AbortSignal): Promise<Completion> {
      const underWay = await start(principal, input, signal);
      const completion: Completion = {
        ...underWay.head,
        text: null,
        reasoning: null,
        refusal: null,
        toolCalls: [],
        finishReason: 'STOP',
        usage: null,
      };
      for await (const { text, reasoning, refusal, toolCalls, finishReason, usage } of read(underWay)) {
        if (text !== null) completion.text = (completion.text ?? '') + text;
        if (reasoning !== null) completion.reasoning = (completion.reasoning ?? '') + reasoning;
        if (refusal !== null) completion.refusal = (completion.refusal ?? '') + refusal;
        for (const piece of toolCalls) {
          completion.toolCalls[piece.index] ??= { id: piece.id ?? '', name: piece.name ?? '', arguments: '' };
          const call = completion.toolCalls[piece.index];
          if (call) call.arguments += piece.arguments;
        }
        completion.finishReason = finishReason ?? completion.finishReason;
        completion.usage = usage ?? completion.usage;
      }
      if (completion.toolCalls.length === 0 && completion.refusal === null) completion.text ??= '';
      return completion;
    },

    /** Streams the answer. An error before the first output of the model is thrown here. */
    async stream(
      principal: Principal,
      input: CreateChatCompletionInput,
      signal: AbortSignal,
    ): Promise<AsyncGenerator<CompletionChunk>> {
      const underWay = await start(principal, input, signal);
      for await (const event of underWay.run.read(0)) {
        if (event.type === 'failed') throw turnError(event);
        break;
      }
      return read(underWay);
    },
  };
}
