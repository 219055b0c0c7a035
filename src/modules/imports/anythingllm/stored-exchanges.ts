import type { z } from 'zod';
import type { Importing } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { messageText } from '../text.ts';
import type { Conversation } from './conversations.ts';
import type { Exchange } from './exchanges.ts';
import { passagesOf } from './passages.ts';
import { type Answer, type ChatRow, readAnswer } from './shapes.ts';

/** Reasoning in the format that AnythingLLM stores in an answer. */
const thought = /^\s*<think>([\s\S]*?)<\/think>\s*/;

/** Converts a row and its answer. Throws UnimportableError for a text that is too long. */
function exchangeOf(
  row: z.output<typeof ChatRow>,
  answer: Answer,
  createdAt: Date,
  byUrl: ReadonlyMap<string, string>,
): Exchange {
  const [whole = '', reasoning] = thought.exec(answer.text) ?? [];
  return {
    id: String(row.id),
    question: messageText(row.prompt ?? ''),
    answer: messageText(answer.text.slice(whole.length)),
    createdAt,
    liked: row.feedbackScore,
    reasoning: reasoning === undefined ? null : messageText(reasoning.trim()),
    model: answer.model,
    durationMs: answer.durationMs,
    passages: passagesOf(answer.sources, byUrl),
  };
}

/**
 * Returns the exchanges of rows and reports those that cannot be imported. A row without a date gets that of the previous
 * one, and the first one `begun`. `images` is the number of images in answers that were not imported before.
 */
export function readExchanges(
  { ledger, report }: Importing,
  rows: Conversation['rows'],
  begun: Date,
  byUrl: ReadonlyMap<string, string>,
): { exchanges: Exchange[]; images: number } {
  const exchanges: Exchange[] = [];
  let images = 0;
  let before = begun;
  for (const row of rows) {
    try {
      const answer = row.response === null ? null : readAnswer(row.response);
      if (!answer) throw new Unfit('has an answer that is not JSON');
      if (ledger.targetOf('chat', row.id) === undefined) images += answer.attachments;
      const exchange = exchangeOf(row, answer, row.createdAt ?? before, byUrl);
      before = exchange.createdAt;
      exchanges.push(exchange);
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      report.leave(`chat ${row.id}`, error.message);
    }
  }
  return { exchanges, images };
}
