import { randomUUID } from 'node:crypto';
import type { Principal } from '../../authz/principal.ts';
import { agentBySlug } from '../agents/by-slug.ts';
import { admitAnswer, type GenerationDeps, startGeneration } from '../chat/generation.ts';
import { modelOf, promptedBy } from '../chat/overrides.ts';
import { ActiveRun } from '../chat/runs.ts';
import { callSettings, checkLength, checkOptions, tokensBeside } from './call-settings.ts';
import { Heard } from './client-call.ts';
import { collectCompletion, recordUsage } from './collect-completion.ts';
import type { CompletionRequest } from './completion-input.ts';
import { passagesFor } from './completion-passages.ts';
import { withFetchedImages } from './images-of-messages.ts';
import { readConversation } from './messages.ts';

/** The fields of a completion that are known at its start. */
export interface CompletionHead {
  /** `chatcmpl-…` */
  id: string;
  createdAt: Date;
  /** The slug of the agent. */
  model: string;
}

/** A completion whose run is active. */
export interface StartedCompletion {
  head: CompletionHead;
  run: ActiveRun;
  heard: Heard;
  includeUsage: boolean;
  /** Returns whether the caller's credential was revoked meanwhile. */
  revoked: () => boolean;
}

/**
 * Starts an admitted answer, which ends when `signal` aborts. `recorded` is called when its usage is stored. Throws
 * NOT_FOUND for an agent that the principal cannot use, BAD_USER_INPUT, UNAVAILABLE and RATE_LIMITED.
 */
export async function startCompletion(
  deps: GenerationDeps,
  principal: Principal,
  request: CompletionRequest,
  { signal, recorded }: { signal: AbortSignal; recorded: () => Promise<void> },
): Promise<StartedCompletion> {
  const { db, models, settings } = deps;
  const chosen = await agentBySlug(db.prisma, principal, request.model);
  const model = modelOf(models, chosen);
  const messages = model.sees
    ? await withFetchedImages(request.messages, { allowedHosts: settings.linkAllowedHosts, signal })
    : request.messages;
  const conversation = readConversation(messages, model.sees);
  const { systemPrompt, question } = conversation;
  const agent = promptedBy(chosen, { systemPrompt, taskPrompt: null });
  checkOptions(request, model);
  const callsWith = callSettings(request, model);
  const beside = tokensBeside(conversation, callsWith);
  checkLength(agent, model, question, beside);
  const hits = await passagesFor(deps, principal, { agent, question, model }, signal);

  const lease = await admitAnswer(deps, principal.userId);
  const id = randomUUID();
  const heard = new Heard();
  // Its session does not exist: only the client that requested a completion can read it.
  const run = new ActiveRun(id, randomUUID(), principal.userId, 0);
  const prepared = { principal, request, run, agent, model, conversation, callsWith, beside, hits, heard };
  const { revoked } = await startGeneration(deps, {
    principal,
    run,
    lease,
    model,
    signal,
    collect: (soFar) => collectCompletion(deps, prepared, soFar),
    store: (outcome) => recordUsage(deps, prepared, outcome).finally(recorded),
  });
  const head = { id: `chatcmpl-${id}`, createdAt: new Date(), model: chosen.slug };
  return { head, run, heard, includeUsage: request.includeUsage, revoked };
}
