import { stringify } from 'csv-stringify/sync';

export const historyFormats = ['JSON', 'JSON_LINES', 'CSV', 'JSON_ALPACA'] as const;
export type HistoryFormat = (typeof historyFormats)[number];

export const mediaTypes: Record<HistoryFormat, string> = {
  JSON: 'application/json',
  JSON_LINES: 'application/jsonl',
  CSV: 'text/csv',
  JSON_ALPACA: 'application/json',
};

/** A question and its answer. */
export interface Pair {
  id: number;
  agent: { id: number; name: string; systemPrompt: string };
  question: string;
  answer: string;
  askedAt: Date;
  username: string;
  rating: '--' | 'GOOD' | 'BAD';
  /** The passages of the answer. */
  passages: string[];
}

const columns = ['id', 'workspace', 'prompt', 'response', 'sent_at', 'username', 'rating'] as const;

const cells = ({ id, agent, question, answer, askedAt, username, rating }: Pair) => ({
  id,
  prompt: question,
  response: answer,
  sent_at: askedAt.toISOString(),
  workspace: agent.name,
  username,
  rating,
});

/** Characters that start a formula in a spreadsheet, halfwidth and fullwidth. */
const formula = /^[=+\-@\t\uff1d\uff0b\uff0d\uff20]/;

/** Returns a text on one line, with an apostrophe before a formula. */
const cell = (text: string): string => {
  const line = text.replace(/\r?\n|\r/g, ' ');
  return formula.test(line) ? `'${line}` : line;
};

/** Formats CSV with every cell in quotes. */
function csv(pairs: Pair[]): string {
  const lines = pairs.map((pair) => {
    const { rating, ...values } = cells(pair);
    return columns.map((column) => (column === 'rating' ? rating : cell(String(values[column]))));
  });
  return `${columns.join(',')}\n${stringify(lines, { quoted: true })}`.replace(/\n$/, '');
}

const part = (text: string) => [{ type: 'text', text }];

/** Formats one conversation per agent, starting with its system prompt, as fine-tuning expects. */
function jsonLines(pairs: Pair[]): string {
  const conversations = new Map<number, { messages: { role: string; content: object[] }[] }>();
  for (const { agent, question, answer } of pairs) {
    const known = conversations.get(agent.id);
    const conversation = known ?? { messages: [{ role: 'system', content: part(agent.systemPrompt) }] };
    if (!known) conversations.set(agent.id, conversation);
    conversation.messages.push({ role: 'user', content: part(question) }, { role: 'assistant', content: part(answer) });
  }
  return [...conversations.values()].map((conversation) => JSON.stringify(conversation)).join('\n');
}

/** Returns the system prompt with the passages of the answer. */
function instruction({ agent, passages }: Pair): string {
  if (passages.length === 0) return agent.systemPrompt;
  const context = passages.map((text, index) => `[CONTEXT ${index}]:\n${text}\n[END CONTEXT ${index}]\n\n`);
  return `${agent.systemPrompt}\nContext:\n${context.join('')}`;
}

/** Formats pairs as AnythingLLM clients expect (contract 1.5). Images of questions are omitted. */
export function exportText(pairs: Pair[], format: HistoryFormat): string {
  if (format === 'CSV') return csv(pairs);
  if (format === 'JSON_LINES') return jsonLines(pairs);
  const rows =
    format === 'JSON'
      ? pairs.map((pair) => ({ ...cells(pair), attachments: [] }))
      : pairs.map((pair) => ({ instruction: instruction(pair), input: pair.question, output: pair.answer }));
  return JSON.stringify(rows, null, 4);
}
