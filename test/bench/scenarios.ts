import type { Call, Client, Response } from './load.ts';

/** A kind of request that is measured. */
export interface Scenario {
  name: string;
  /** Requests per burst. */
  count: number;
  next: () => Call;
  /** Defaults to a status of 200 without GraphQL errors. */
  accepts?: (response: Response) => boolean;
  /** The path of the baseline that returns the same data. */
  baseline?: string;
  /** The least share of the requests per second of the baseline. */
  target?: number;
  connections?: number;
}

export interface Seeded {
  agentId: number;
  globalId: string;
  sessionId: string;
  /** A key whose checksum is wrong. */
  brokenKey: string;
}

const graphql = (query: string, variables?: object): Call => ({
  method: 'POST',
  path: '/graphql',
  body: { query, variables },
});
const get = (path: string) => (): Call => ({ method: 'GET', path });

const list = `{ agents(first: 50) { nodes { databaseId name description isPublic isListed isFeatured isBuiltin
  displayPriority createdAt updatedAt systemPrompt id } } }`;
const one = `query ($id: ID!) { agent(id: $id) { databaseId name description isPublic isListed isFeatured isBuiltin
  displayPriority createdAt updatedAt systemPrompt id } }`;
const create = 'mutation ($input: CreateAgentInput!) { createAgent(input: $input) { agent { databaseId name } } }';

let created = 0;
const newName = () => `bench ${process.pid} ${created++}`;

export const succeeded = ({ status, text }: Response): boolean =>
  status >= 200 && status < 300 && !text.startsWith('{"errors"');

/** Returns the requests on a database with 50 agents. */
export const scenarios = ({ agentId, globalId }: Seeded): Scenario[] => [
  { name: 'GET /health/live', count: 2000, next: get('/health/live'), baseline: '/health' },
  { name: 'GET /me', count: 1000, next: get('/api/me'), baseline: '/me', target: 0.5 },
  {
    name: 'GraphQL list of 50, 12 fields',
    count: 300,
    next: () => graphql(list),
    baseline: '/graphql/list',
    target: 0.4,
  },
  {
    name: 'GraphQL one by ID',
    count: 1000,
    next: () => graphql(one, { id: globalId }),
    baseline: '/graphql/one',
    target: 0.17,
  },
  {
    name: 'GraphQL create',
    count: 100,
    next: () => graphql(create, { input: { name: newName() } }),
    baseline: '/create',
    target: 0.25,
  },
  {
    name: 'REST list of 50',
    count: 200,
    next: get('/api/agents?page_size=50'),
    baseline: '/list',
    target: 0.5,
  },
  { name: 'REST one by ID', count: 600, next: get(`/api/persona/${agentId}`), baseline: '/one', target: 0.25 },
  {
    name: '200 connections, GraphQL one',
    count: 2000,
    connections: 200,
    next: () => graphql(one, { id: globalId }),
  },
];

/** Returns the requests whose cost must not grow with the amount of data. */
export const growing = ({ sessionId }: Seeded): Scenario[] => [
  {
    name: 'GraphQL list of 50 sessions',
    count: 40,
    next: () => graphql('{ chatSessions(first: 50) { nodes { id name updatedAt } } }'),
  },
  { name: 'REST list of sessions', count: 40, next: get('/api/chat/get-user-chat-sessions?page_size=50') },
  { name: 'number of sessions', count: 20, next: () => graphql('{ chatSessions { totalCount } }') },
  { name: 'one session with its messages', count: 40, next: get(`/api/chat/get-chat-session/${sessionId}`) },
  { name: 'search in chats, rare word', count: 20, next: get('/api/chat/search?query=invoice%204711') },
  {
    name: 'search in passages, five words',
    count: 20,
    next: () => graphql('{ search(query: "machine 4711 maintenance schedule passage", first: 5) { __typename } }'),
  },
];

/** Stores 50 agents and returns the IDs that the scenarios use. */
export async function seedAgents(client: Client): Promise<Pick<Seeded, 'agentId' | 'globalId'>> {
  for (let index = 0; index < 50; index++) {
    const input = { name: `Agent ${index}`, description: 'Answers questions about machines.', isPublic: true };
    const response = await client.send(graphql(create, { input }));
    if (!succeeded(response)) throw new Error(response.text);
  }
  const { text } = await client.send(graphql('{ agents(first: 2) { nodes { id databaseId } } }'));
  const { id, databaseId } = JSON.parse(text).data.agents.nodes.at(-1);
  return { agentId: databaseId, globalId: id };
}
