import { setImmediate } from 'node:timers/promises';
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3FinishReason,
  LanguageModelV3Prompt,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
  SharedV3Warning,
} from '@ai-sdk/provider';
import { type Quote, selectQuotes } from './extractive-answer.ts';
import { parsePassages, withoutPassages } from './passages.ts';
import { estimateTokens } from './tokens.ts';

const howToConnectModel =
  'For answers written by a language model, set `LLM_PROVIDER=openai-compatible`, `LLM_BASE_URL` and `LLM_MODEL`.';
const howToAddDocuments = 'Documents are added with `POST /api/onyx-api/ingestion`.';
const lead = 'These are quotes from the documents that I can read, without further interpretation.';
const foundNothing = 'I did not find an answer in the documents that I can read.';
const quotesOnly = 'I only quote documents.';

/**
 * The provider options of a call by a caller who can configure the server. The answer then names the settings that
 * connect a language model. For other callers the names of settings are of no use.
 */
export const adviceForOperator = { latchkey: { adviseOperator: true } };

const advisesOperator = ({ providerOptions }: LanguageModelV3CallOptions): boolean =>
  providerOptions?.latchkey?.adviseOperator === true;

/** A "[2]" in a document must not be read as a citation of passage 2. It stays in code, which is not Markdown. */
function withoutMarkers(line: string): string {
  const parts = line.split(/(`+[^`]*`+)/);
  return parts.map((part, index) => (index % 2 ? part : part.replace(/\[(\d+)\]/g, '\\[$1\\]'))).join('');
}

function renderQuote({ number, markdown }: Quote): string {
  let inCode = false;
  const lines = markdown.split('\n').map((line) => {
    const isFence = /^(`{3,}|~{3,})/.test(line);
    if (isFence) inCode = !inCode;
    return isFence || inCode ? line : withoutMarkers(line);
  });
  // After code or a table, the marker would become part of it.
  const last = lines.at(-1) ?? '';
  if (/^(`{3}|~{3}|\|)/.test(last)) lines.push('', `[${number}]`);
  else lines.push(`${lines.pop()} [${number}]`);
  return lines.map((line) => (line === '' ? '>' : `> ${line}`)).join('\n');
}

/** Returns the text parts of the last user message. */
function lastUserText(prompt: LanguageModelV3Prompt): string {
  const message = prompt.findLast(({ role }) => role === 'user');
  if (message?.role !== 'user') return '';
  return message.content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n\n');
}

function answerTo(options: LanguageModelV3CallOptions): string {
  const text = lastUserText(options.prompt);
  const quotes = selectQuotes(withoutPassages(text), parsePassages(text));
  const advises = advisesOperator(options);
  if (quotes.length > 0)
    return [lead, ...quotes.map(renderQuote), ...(advises ? [howToConnectModel] : [])].join('\n\n');
  return advises
    ? `${foundNothing} ${howToAddDocuments}\n\n${quotesOnly} ${howToConnectModel}`
    : `${foundNothing}\n\n${quotesOnly}`;
}

function promptText(prompt: LanguageModelV3Prompt): string {
  const texts = prompt.flatMap(({ content }) =>
    typeof content === 'string' ? [content] : content.flatMap((part) => (part.type === 'text' ? [part.text] : [])),
  );
  return texts.join('\n');
}

interface Answer {
  /** Groups of up to four words, which together form the text. */
  deltas: string[];
  finishReason: LanguageModelV3FinishReason;
  usage: LanguageModelV3Usage;
  warnings: SharedV3Warning[];
}

function answer(options: LanguageModelV3CallOptions): Answer {
  const { prompt, maxOutputTokens, responseFormat, toolChoice, abortSignal } = options;
  abortSignal?.throwIfAborted();
  const deltas: string[] = [];
  let written = '';
  let unified: LanguageModelV3FinishReason['unified'] = 'stop';
  for (const delta of answerTo(options).match(/\s*\S+(?:\s+\S+){0,3}/g) ?? []) {
    if (estimateTokens(written + delta) > (maxOutputTokens ?? Infinity)) {
      unified = 'length';
      break;
    }
    deltas.push(delta);
    written += delta;
  }
  const input = estimateTokens(promptText(prompt));
  const output = estimateTokens(written);
  const warnings: SharedV3Warning[] = [];
  if (responseFormat?.type === 'json') warnings.push({ type: 'unsupported', feature: 'responseFormat' });
  if (toolChoice?.type === 'required' || toolChoice?.type === 'tool')
    warnings.push({ type: 'unsupported', feature: 'toolChoice' });
  return {
    deltas,
    finishReason: { unified, raw: undefined },
    usage: {
      inputTokens: { total: input, noCache: input, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: output, text: output, reasoning: undefined },
    },
    warnings,
  };
}

function* partsOf({ deltas, finishReason, usage, warnings }: Answer): Generator<LanguageModelV3StreamPart> {
  const id = 'quotes';
  yield { type: 'stream-start', warnings };
  yield { type: 'text-start', id };
  for (const delta of deltas) yield { type: 'text-delta', id, delta };
  yield { type: 'text-end', id };
  yield { type: 'finish', finishReason, usage };
}

/**
 * Creates the built-in language model, which needs no network and no weights: it answers the last user message by
 * quoting the passages in it (`renderPassages`), each quote with its `[n]`, and states that it quotes. It quotes at
 * most 1200 characters; the same prompt gives the same answer. It calls no tools. Token counts are estimates.
 */
export function embeddedModel(): LanguageModelV3 {
  return {
    specificationVersion: 'v3',
    provider: 'latchkey',
    modelId: 'embedded-quotes',
    supportedUrls: {},
    async doGenerate(options) {
      const { deltas, ...rest } = answer(options);
      return { content: [{ type: 'text', text: deltas.join('') }], ...rest };
    },
    async doStream(options) {
      const parts = partsOf(answer(options));
      const stream = new ReadableStream<LanguageModelV3StreamPart>({
        async pull(controller) {
          // Lets other requests run between two deltas, including one that stops this answer.
          await setImmediate();
          options.abortSignal?.throwIfAborted();
          const { value, done } = parts.next();
          if (done) controller.close();
          else controller.enqueue(value);
        },
      });
      return { stream };
    },
  };
}
