import type { Agent } from '../../generated/prisma/client.ts';
import type { AnswerRequest } from './answer.ts';
import { type AnswerEnd, type AnswerSoFar, stopped } from './answer-outcome.ts';
import type { ActiveRun } from './runs.ts';

/** The default refusal of an agent in the mode QUERY that found no passage. */
const defaultRefusal = 'There is no relevant information in this workspace to answer your query.';

/** Returns whether an agent that answers only from documents has none to answer from. */
export const mustRefuse = (
  mode: Agent['chatMode'],
  {
    passages,
    images,
    notes,
    additionalContext,
  }: Pick<AnswerRequest, 'passages' | 'images' | 'notes' | 'additionalContext'>,
): boolean => mode === 'QUERY' && passages.length + images.length + notes.length === 0 && !additionalContext;

/** Answers with the refusal of the agent, without calling a model. */
export function refuse({ refusalText }: Agent, run: ActiveRun, soFar: AnswerSoFar): AnswerEnd {
  soFar.isRefusal = true;
  if (run.signal.aborted) return stopped(run);
  soFar.text = refusalText || defaultRefusal;
  run.emit({ type: 'answerStarted', documents: [], isRefusal: true });
  run.emit({ type: 'answerDelta', text: soFar.text });
  return { status: 'COMPLETE' };
}
