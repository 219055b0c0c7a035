import type { LanguageModelV3Message, LanguageModelV3ToolCallPart } from '@ai-sdk/provider';
import { z } from 'zod';
import { imageTokens } from '../../ai/tokens.ts';
import { badInput } from '../../errors.ts';
import { plainText } from '../../zod-types.ts';
import type { Image, Utterance } from '../chat/prompt.ts';

/** Maximum length of one text of a message, in characters. */
const maxTextLength = 1_000_000;

const Part = z
  .object({ text: plainText(maxTextLength).nullish(), imageUrl: z.string().nullish() })
  .refine(({ text, imageUrl }) => (text == null) !== (imageUrl == null), 'must have either `text` or `imageUrl`');

/** Maximum length of a call ID; some providers encode more than a number in it. */
const maxCallIdLength = 1000;

const ToolCall = z.object({
  id: plainText(maxCallIdLength).min(1),
  name: plainText(200).min(1),
  arguments: plainText(maxTextLength),
});

/** A message as a client sends it. */
export const Message = z.object({
  role: z.enum(['SYSTEM', 'DEVELOPER', 'USER', 'ASSISTANT', 'TOOL']),
  content: z.array(Part).max(1000, 'must have at most 1000 parts').nullish(),
  toolCalls: z.array(ToolCall).max(128).nullish(),
  toolCallId: plainText(maxCallIdLength).nullish(),
});
export type Message = z.output<typeof Message>;

/** The client's messages around the question that is answered now. */
export interface Conversation {
  /** The client's own instructions, which replace those of the agent. */
  systemPrompt: string | null;
  /** The messages before the question, oldest first. */
  earlier: LanguageModelV3Message[];
  question: string;
  images: Image[];
  /** The messages after the question: calls of the client's tools and their results. */
  since: LanguageModelV3Message[];
}

type Path = (string | number)[];

const isInstruction = ({ role }: Message): boolean => role === 'SYSTEM' || role === 'DEVELOPER';

const textOf = ({ content }: Message): string => (content ?? []).flatMap(({ text }) => text ?? []).join('\n\n');

/** Returns the image in a `data:` URL. Throws BAD_USER_INPUT for every other URL. */
function imageOf(url: string, path: Path): { mediaType: string; data: string } {
  const [, mediaType, data] = /^data:(image\/(?:png|jpeg|gif|webp));base64,([A-Za-z0-9+/]+={0,2})$/.exec(url) ?? [];
  if (mediaType === undefined || data === undefined)
    throw badInput(path, 'must be an http or https URL, or a data: URL in base64, of a PNG, JPEG, GIF or WebP image');
  return { mediaType, data };
}

type UserPart = Extract<LanguageModelV3Message, { role: 'user' }>['content'][number];

function userParts({ content }: Message, sees: boolean, at: Path): UserPart[] {
  return (content ?? []).map(({ text, imageUrl }, index): UserPart => {
    if (imageUrl == null) return { type: 'text', text: text ?? '' };
    const path = [...at, 'content', index, 'imageUrl'];
    if (!sees) throw badInput(path, 'is not supported: the model does not read images');
    return { type: 'file', ...imageOf(imageUrl, path) };
  });
}

/** Returns arguments as JSON: an empty text becomes an empty object, and invalid JSON a string. */
function argumentsOf(written: string): string {
  if (written.trim() === '') return '{}';
  try {
    JSON.parse(written);
    return written;
  } catch {
    return JSON.stringify(written);
  }
}

/** Returns a call as it was written. The SDK would serialize its arguments again and change numbers beyond 2^53. */
function callPart({ id, name, arguments: written }: z.output<typeof ToolCall>): LanguageModelV3ToolCallPart {
  const json = argumentsOf(written);
  return {
    type: 'tool-call',
    toolCallId: id,
    toolName: name,
    input: JSON.parse(json),
    // Copied unchanged into the call.
    providerOptions: { openaiCompatible: { function: { name, arguments: json } } },
  };
}

/** Reads messages in order: a tool result belongs to an earlier call. */
function reader(sees: boolean) {
  const calls = new Map<string, string>();
  return (message: Message, index: number): LanguageModelV3Message => {
    const at = ['input', 'messages', index];
    const { role, content, toolCalls, toolCallId } = message;
    const image = role === 'USER' ? -1 : (content ?? []).findIndex(({ imageUrl }) => imageUrl != null);
    if (image >= 0)
      throw badInput([...at, 'content', image, 'imageUrl'], 'is only allowed in a message with the role `user`');
    if (toolCalls?.length && role !== 'ASSISTANT')
      throw badInput([...at, 'toolCalls'], 'is only allowed in a message with the role `assistant`');
    if (isInstruction(message)) return { role: 'system', content: textOf(message) };
    if (role === 'USER') return { role: 'user', content: userParts(message, sees, at) };
    if (role === 'ASSISTANT') {
      for (const { id, name } of toolCalls ?? []) calls.set(id, name);
      const text = textOf(message);
      return {
        role: 'assistant',
        content: [...(text === '' ? [] : [{ type: 'text' as const, text }]), ...(toolCalls ?? []).map(callPart)],
      };
    }
    const toolName = calls.get(toolCallId ?? '');
    if (toolCallId == null || toolName === undefined)
      throw badInput([...at, 'toolCallId'], 'must be the ID of a tool call in an earlier message');
    const output = { type: 'text' as const, value: textOf(message) };
    return { role: 'tool', content: [{ type: 'tool-result', toolCallId, toolName, output }] };
  };
}

/**
 * Splits a client's messages at the last question: the first instructions replace those of the agent, and messages
 * after the question are tool calls and results. Throws BAD_USER_INPUT: the last message must be a question or a tool
 * result, images must be data that the model supports, and a tool result must name its call.
 */
export function readConversation(messages: readonly Message[], sees: boolean): Conversation {
  const last = messages.at(-1)?.role;
  if (last !== 'USER' && last !== 'TOOL')
    throw badInput(['input', 'messages'], 'must end with a message with the role `user` or `tool`');
  const asked = messages.findLastIndex(({ role }) => role === 'USER');
  if (asked < 0) throw badInput(['input', 'messages'], 'must contain a message with the role `user`');
  const instructions = messages.findIndex(isInstruction);
  const read = messages.map(reader(sees));
  const question = messages[asked] as Message;
  const images = (question.content ?? []).flatMap(({ imageUrl }, index) => {
    if (imageUrl == null) return [];
    const { mediaType, data } = imageOf(imageUrl, ['input', 'messages', asked, 'content', index, 'imageUrl']);
    return [{ name: `image ${index + 1}`, mediaType, bytes: Buffer.from(data, 'base64') }];
  });
  const rest = (from: number, to: number) =>
    read.slice(from, to).filter((_message, index) => from + index !== instructions);
  return {
    systemPrompt: instructions < 0 ? null : textOf(messages[instructions] as Message),
    earlier: rest(0, asked),
    question: textOf(question),
    images,
    since: rest(asked + 1, read.length),
  };
}

/** Returns the size of a message as characters of text; an image counts as a fixed number. */
function lengthOf({ content }: LanguageModelV3Message): number {
  if (typeof content === 'string') return content.length;
  return content.reduce((sum, part) => {
    if (part.type === 'text' || part.type === 'reasoning') return sum + part.text.length;
    if (part.type === 'file') return sum + 4 * imageTokens;
    return sum + JSON.stringify({ ...part, providerOptions: undefined }).length;
  }, 0);
}

/** Returns the total size of messages as characters of text. */
export const lengthOfAll = (messages: readonly LanguageModelV3Message[]): number =>
  messages.reduce((sum, message) => sum + lengthOf(message), 0);

/** Returns a placeholder of the same length for a message while the prompt is packed. */
export const standIn = (message: LanguageModelV3Message): Utterance => ({
  role: message.role === 'assistant' ? 'assistant' : 'user',
  text: '.'.repeat(Math.max(1, lengthOf(message))),
});
