import { can, type Principal } from '../../authz/principal.ts';
import { cutText } from '../../unicode.ts';
import { answer } from './answer.ts';
import type { AnswerEnd, AnswerSoFar } from './answer-outcome.ts';
import { type Attachments, gatherAttachments, isWhole } from './attachments.ts';
import type { NumberedHit } from './events.ts';
import type { GenerationDeps } from './generation.ts';
import { findPassages, needsSearch } from './passages.ts';
import type { PreparedTurn } from './prepare-turn.ts';
import { mustRefuse, refuse } from './refusal.ts';
import { answerSaver, saveAnswer } from './store-turn.ts';

/** Characters that a message stores of a file or document in full; the rest can be read there. */
const keptOfFile = 1000;

/** Returns the passages in the form that a message stores. */
const kept = (passages: readonly NumberedHit[]): NumberedHit[] =>
  passages.map((passage) =>
    passage.source === 'user_file' || isWhole(passage)
      ? { ...passage, text: cutText(passage.text, keptOfFile) }
      : passage,
  );

/**
 * Searches for the passages of a turn and tells its readers. `query` is null when there was nothing to search; then
 * `hits` is null too, unless the agent or the project has documents that are included in full.
 */
async function search(
  { knowledge }: GenerationDeps,
  { principal, run, agent, projectId, question, searches, input: { filters } }: PreparedTurn,
  attachments: Attachments,
): Promise<{ hits: NumberedHit[] | null; query: string | null }> {
  const { standing } = attachments;
  if (!needsSearch({ searches, attachments })) return { hits: standing.length > 0 ? standing : null, query: null };
  run.emit({ type: 'searchStarted' });
  run.emit({ type: 'searchQueries', queries: [question] });
  const found = await findPassages(knowledge, principal, {
    agent,
    projectId,
    question,
    searches,
    attachments,
    sources: filters?.sources ?? undefined,
    since: filters?.since ?? null,
    tags: filters?.tags ?? undefined,
  });
  const hits = [...standing, ...found];
  run.emit({ type: 'searchDocuments', documents: kept(hits) });
  return { hits, query: question };
}

/**
 * Returns the passages that the caller receives in full. Files that other users added to this chat earlier are history,
 * which a caller without `read:chat` must not receive.
 */
const passagesTold = (
  principal: Principal,
  { userMessageId }: PreparedTurn,
  { files, hits, passages }: { files: NumberedHit[]; hits: NumberedHit[] | null; passages: NumberedHit[] },
): NumberedHit[] =>
  can(principal, 'read:chat') ? passages : kept([...(userMessageId === null ? [] : files), ...(hits ?? [])]);

/** Gathers the files and passages of a turn and requests its answer, or refuses it. Saves the answer while it grows. */
export async function collectTurn(deps: GenerationDeps, turn: PreparedTurn, soFar: AnswerSoFar): Promise<AnswerEnd> {
  const { settings, log } = deps;
  const { principal, input, run, assistantMessageId } = turn;
  const saver = answerSaver(() => saveAnswer(deps, assistantMessageId, soFar));
  try {
    const { additionalContext = null } = input;
    const attachments = await gatherAttachments(deps, principal, { ...turn, additionalContext }, run.signal);
    const { hits, query } = await search(deps, turn, attachments);
    const { files, earlierFiles, images, notes } = attachments;
    const passages = kept([...files, ...earlierFiles, ...(hits ?? [])]);
    if (passages.length > 0 || hits !== null)
      await saveAnswer(deps, assistantMessageId, soFar, { passages, searchQuery: query });
    if (mustRefuse(turn.mode, { passages, images, notes, additionalContext })) return refuse(turn.agent, run, soFar);
    const request = {
      ...turn,
      ...attachments,
      hits,
      passages,
      told: passagesTold(principal, turn, { files, hits, passages }),
      additionalContext,
      includeCitations: input.includeCitations ?? true,
      advisesOperator: can(principal, 'manage:settings'),
      limits: { modelSilenceMs: settings.modelSilenceMs, turnMs: settings.turnMs },
      onProgress: saver.changed,
    };
    return await answer(log, request, soFar);
  } finally {
    await saver.stop();
  }
}
