/** The operations that GraphiQL opens with, one per tab. Each runs unchanged once a key is set. */
export const examples: readonly { title: string; query: string; variables?: string }[] = [
  {
    title: 'Ask a question',
    query: `# Enter your key in the field at the top of this page.
mutation Ask {
  sendChatMessage(input: { message: "How do I create a limited key?" }) {
    sessionId
    answer
    citations { number documentId }
    documents { number title link score }
  }
}
`,
  },
  {
    title: 'Who am I',
    query: `query WhoAmI {
  viewer { role permissions token { kind scopes expiresAt } user { name } }
  can(permission: READ_CHAT)
}
`,
  },
  {
    title: 'Make a limited key',
    query: `mutation MakeLimitedKey {
  createApiKey(input: { name: "widget", role: LIMITED }) {
    secret
    apiKey { id databaseId display role }
  }
}
`,
  },
  {
    title: 'Stream an answer',
    query: `subscription Stream($input: SendChatMessageInput!) {
  chatTurn(input: $input) {
    __typename
    ... on ChatMessageIds { sessionId runId assistantMessageId }
    ... on ChatSearchDocuments { documents { number title } }
    ... on ChatAnswerDelta { text }
    ... on ChatCitation { citation { number documentId } }
    ... on ChatTurnStopped { reason }
    ... on ChatTurnFailed { code message }
  }
}
`,
    variables: JSON.stringify({ input: { message: 'What can a basic key do?' } }, null, 2),
  },
  {
    title: 'Agents',
    query: `query Agents {
  agents(first: 10) {
    totalCount
    nodes { databaseId name description isPublic starterMessages { name message } }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  },
];
