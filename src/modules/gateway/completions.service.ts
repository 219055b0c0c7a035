import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import type { GenerationDeps } from '../chat/generation.ts';
import { turnError } from '../chat/turn-failure.ts';
import { CreateChatCompletion, type CreateChatCompletionInput } from './completion-input.ts';
import { type Completion, type CompletionChunk, readCompletion } from './read-completion.ts';
import { type StartedCompletion, startCompletion } from './start-completion.ts';

/**
 * Creates the service for completions: it answers messages that the client stores, with the knowledge and instructions
 * of an agent. Only the usage is stored. An answer ends when its client disconnects.
 */
export function createCompletionsService(deps: GenerationDeps) {
  const { limits } = deps;

  /** Starts an answer within the limits of its caller. Throws the errors of {@link startCompletion}. */
  async function start(
    principal: Principal,
    raw: CreateChatCompletionInput,
    signal: AbortSignal,
  ): Promise<StartedCompletion> {
    const request = parse(CreateChatCompletion, raw);
    await limits.admitTurn(principal);
    const unwritten = await limits.admitUnwritten(principal);
    try {
      return await startCompletion(deps, principal, request, { signal, recorded: unwritten.release });
    } catch (error) {
      await unwritten.release();
      throw error;
    }
  }

  return {
    /**
     * Answers a client's messages as an agent, without storing them. Throws NOT_FOUND, BAD_USER_INPUT, RATE_LIMITED,
     * CONFLICT, UPSTREAM_FAILED.
     */
    async create(principal: Principal, input: CreateChatCompletionInput, signal: AbortSignal): Promise<Completion> {
      const started = await start(principal, input, signal);
      const completion: Completion = {
        ...started.head,
        text: null,
        reasoning: null,
        refusal: null,
        toolCalls: [],
        finishReason: 'STOP',
        usage: null,
      };
      for await (const { text, reasoning, refusal, toolCalls, finishReason, usage } of readCompletion(started)) {
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
      const started = await start(principal, input, signal);
      for await (const event of started.run.read(0)) {
        if (event.type === 'failed') throw turnError(event);
        break;
      }
      return readCompletion(started);
    },
  };
}
