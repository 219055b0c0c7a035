import OpenAI from 'openai';
import { afterAll, beforeAll, expect } from 'vitest';
import { nothingStored } from '../../../test/expect-unchanged.ts';
import { type Kit, type RoleName, startKit } from '../../../test/kit.ts';

/** Calls of OpenAI's own client to the paths that it uses. */
export let kit: Kit;
/** The slug and the integer ID of an agent with one document. */
export let slug: string;
export let agentId: number;

/** Starts a server with a model of each kind and an agent for a test file about the OpenAI paths. */
export function useOpenAIKit(): void {
  beforeAll(async () => {
    kit = await startKit({
      scripted: true,
      environment: { EMBEDDING_MODEL: 'embedder', IMAGE_MODEL: 'painter', LLM_VISION: 'true' },
    });
    await kit.ingest('Vacation', 'Everybody has thirty days of vacation each year.', { id: 'vacation' });
    const search = await kit.prisma.action.findFirstOrThrow({ where: { builtinKey: 'SearchTool' } });
    ({ slug, id: agentId } = await createAgent({
      name: 'Handbook',
      systemPrompt: 'You are the handbook.',
      knowledge: 'ATTACHED',
      documentIds: ['vacation'],
      actionIds: [search.id],
    }));
  });
  afterAll(() => kit?.close());
}

export const clientOf = (apiKey: string): OpenAI =>
  new OpenAI({ apiKey, baseURL: `${kit.url}/api/v1/openai`, maxRetries: 0, logLevel: 'off' });
export const client = (role: RoleName = 'BASIC') => clientOf(kit.keys[role]);

export const path = '/api/v1/openai';
export const user = (content: string) => ({ role: 'user' as const, content });

export async function createAgent(input: object): Promise<{ slug: string; id: number }> {
  const { data, errors } = await kit.gql(
    'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId } } }',
    { input: { isPublic: true, ...input } },
  );
  if (errors.length > 0) throw new Error(JSON.stringify(errors));
  const id = data.createAgent.agent.databaseId;
  return { id, slug: (await kit.prisma.agent.findUniqueOrThrow({ where: { id } })).slug };
}

/** Returns the error that a call throws. */
export const thrown = (attempt: () => PromiseLike<unknown>): Promise<any> =>
  Promise.resolve(attempt()).then(
    (reply) => expect.fail(`was not refused: ${JSON.stringify(reply)}`),
    (error: unknown) => error,
  );

export const unchanged = <T>(work: () => Promise<T>): Promise<T> => nothingStored(kit, work);

/** Returns the error that a call throws, and expects that no data changed. */
export const refusal = (attempt: () => PromiseLike<unknown>): Promise<any> => unchanged(() => thrown(attempt));

export const usedBy = async (model: string) => {
  const records = await kit.prisma.usageRecord.findMany({ where: { model } });
  return records.reduce(
    (sum, { turns, inputTokens }) => ({ turns: sum.turns + turns, input: sum.input + inputTokens }),
    {
      turns: 0,
      input: 0n,
    },
  );
};

/** Returns the chunks of an answer as a client receives them. */
export async function chunksOf(
  request: Omit<OpenAI.ChatCompletionCreateParamsStreaming, 'model' | 'stream'>,
): Promise<OpenAI.ChatCompletionChunk[]> {
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  const stream = await client().chat.completions.create({ ...request, model: slug, stream: true });
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** Returns the last completion request to the model server. */
export const asked = () => kit.model.requests.findLast((request) => request.path === '/chat/completions')?.body as any;

export const weather = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    description: 'The weather of a place',
    parameters: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
  },
};
