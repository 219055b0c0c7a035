// Asks a question with GraphQL and prints the answer with the documents that it cites.
const server = process.env.LATCHKEY_URL ?? 'http://127.0.0.1:4000';
const question = process.argv[2] ?? 'Can a limited key read chat history?';

interface GraphQLResponse<Data> {
  data?: Data | null;
  errors?: { message: string; extensions: { code: string } }[];
}

interface Ask {
  sendChatMessage: {
    answerWithoutCitations: string;
    citations: { number: number; documentId: string }[];
    failure: { code: string; message: string } | null;
  };
}

/** Sends an operation. Throws when the response has errors. */
async function request<Data>(query: string, variables: object): Promise<Data> {
  const response = await fetch(`${server}/graphql`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${process.env.KEY}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors = [] }: GraphQLResponse<Data> = await response.json();
  if (!data || errors.length > 0)
    throw new Error(errors.map(({ message, extensions }) => `${extensions.code}: ${message}`).join('\n'));
  return data;
}

const { sendChatMessage: turn } = await request<Ask>(
  `mutation Ask($message: String!) {
    sendChatMessage(input: { message: $message }) {
      answerWithoutCitations
      citations { number documentId }
      failure { code message }
    }
  }`,
  { message: question },
);
// A model that fails is not an error of the request: the text that it generated before is kept.
if (turn.failure) console.error(`${turn.failure.code}: ${turn.failure.message}`);
console.log(turn.answerWithoutCitations);
for (const { number, documentId } of turn.citations) console.log(`[${number}] ${documentId}`);
