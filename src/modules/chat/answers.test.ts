import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  asked,
  createSession,
  deltas,
  detail,
  kit,
  lastAsked,
  packet,
  place,
  send,
  stored,
  stream,
  turn,
  useChatKit,
} from '../../../test/chat-kit.ts';
import { type Kit, startKit } from '../../../test/kit.ts';
import { gather } from '../../../test/lines.ts';

useChatKit();

/** A server with the built-in model, which quotes documents. */
let quoting: Kit;
beforeAll(async () => {
  quoting = await startKit();
  await quoting.prisma.document.deleteMany();
});
afterAll(() => quoting?.close());

describe('an answer that quotes documents', () => {
  const link = 'https://docs.example/keys';

  beforeAll(() =>
    quoting.ingest('Keys', 'A limited key sends messages and reads no history.\n\nUnrelated: tea is hot.', {
      id: 'keys',
      link,
    }),
  );

  it('is returned whole over REST with citations and all documented fields', async () => {
    const { status, body } = await send({ message: 'What does a limited key read?' }, { on: quoting });
    expect(status).toBe(200);
    const document = {
      document_id: 'keys',
      chunk_ind: 0,
      semantic_identifier: 'Keys',
      link,
      blurb: expect.stringContaining('A limited key'),
      source_type: 'ingestion_api',
      boost: 0,
      hidden: false,
      metadata: {},
      score: expect.any(Number),
      is_relevant: null,
      relevance_explanation: null,
      match_highlights: [expect.stringContaining('<hi>')],
      updated_at: null,
      primary_owners: null,
      secondary_owners: null,
      is_internet: false,
      file_id: null,
    };
    expect(body).toEqual({
      answer: expect.stringContaining(`A limited key sends messages and reads no history. [[1]](${link})`),
      answer_citationless: expect.stringContaining('A limited key sends messages and reads no history.'),
      pre_answer_reasoning: null,
      tool_calls: [
        {
          tool_name: 'internal_search',
          tool_arguments: { queries: ['What does a limited key read?'] },
          tool_result: '',
          search_docs: [document],
          generated_images: null,
          pre_reasoning: null,
        },
      ],
      top_documents: [document],
      citation_info: [{ type: 'citation_info', citation_number: 1, document_id: 'keys' }],
      message_id: expect.any(Number),
      chat_session_id: expect.any(String),
      incognito: false,
      error_msg: null,
    });
    expect(body.answer_citationless).not.toContain('[[');
  });

  it('is streamed with each citation before the text that refers to it', async () => {
    const lines = await gather(stream({ message: 'What does a limited key read?' }, { on: quoting }));
    const types = lines.map(({ obj }) => obj?.type);
    const cited = types.indexOf('citation_info');
    expect(lines[cited].obj).toEqual({ type: 'citation_info', citation_number: 1, document_id: 'keys' });
    expect(lines[cited + 1].obj).toEqual({ type: 'message_delta', content: expect.stringMatching(/^\[\[1\]\]\(/) });
    expect(deltas(lines.slice(0, cited))).not.toContain('[[1]]');
    expect(types.filter((type) => type === 'citation_info')).toHaveLength(1);
    expect(types.at(-1)).toBe('stop');
    const { body } = await detail(lines[0].chat_session_id, { on: quoting });
    expect(body.messages.at(-1).message).toBe(deltas(lines));
  });

  it('reports that no passages were found', async () => {
    const { body } = await send({ message: 'Zanzibar?' }, { on: quoting });
    expect(body.answer).toContain('I did not find an answer in the documents that I can read.');
    expect(body).toMatchObject({ top_documents: [], citation_info: [], error_msg: null });
  });

  it('contains no citations when the caller turns them off', async () => {
    const lines = await gather(
      stream({ message: 'What does a limited key read?', include_citations: false }, { on: quoting }),
    );
    expect(deltas(lines)).toMatch(/A limited key sends messages and reads no history\.$/);
    expect(deltas(lines)).not.toMatch(/\[\d+\]/);
    expect(lines.map(({ obj }) => obj?.type)).not.toContain('citation_info');
  });

  it('is returned over GraphQL with the same content', async () => {
    const { data } = await quoting.gql(
      `mutation { sendChatMessage(input: { message: "What does a limited key read?" }) {
        sessionId runId userMessageId assistantMessageId answer answerWithoutCitations reasoning stopped searchQueries
        citations { number documentId } documents { number documentId link } failure { code }
      } }`,
    );
    expect(data.sendChatMessage).toMatchObject({
      answer: expect.stringContaining(`[[1]](${link})`),
      answerWithoutCitations: expect.not.stringContaining('[['),
      reasoning: null,
      stopped: false,
      searchQueries: ['What does a limited key read?'],
      citations: [{ number: 1, documentId: 'keys' }],
      documents: [{ number: 1, documentId: 'keys', link }],
      failure: null,
    });
  });
});

describe('the packets of a streamed answer', () => {
  it('contain only IDs and the answer when the search is turned off', async () => {
    kit.model.script({ text: ['Hel', 'lo'] });
    const lines = await gather(stream({ allowed_tool_ids: [] }));
    const [{ chat_session_id }, { user_message_id }] = lines;
    const root = await kit.prisma.chatMessage.findFirstOrThrow({
      where: { sessionId: chat_session_id, parentId: null },
    });
    expect(user_message_id).toBe(root.id + 1);
    expect(lines).toEqual([
      { chat_session_id: expect.stringMatching(/^[0-9a-f-]{36}$/), incognito: false },
      { user_message_id, reserved_assistant_message_id: user_message_id + 1 },
      packet(0, { type: 'message_start', final_documents: null, pre_answer_processing_seconds: expect.any(Number) }),
      packet(0, { type: 'message_delta', content: 'Hel' }),
      packet(0, { type: 'message_delta', content: 'lo' }),
      packet(0, { type: 'stop', stop_reason: null }),
    ]);
    expect(lastAsked()).toBe('Hello');
  });

  it('contain no search for an agent without the search action', async () => {
    const { data } = await kit.gql(
      'mutation { createAgent(input: { name: "Silent", isPublic: true, systemPrompt: "Be silent.", actionIds: [] }) { agent { databaseId } } }',
    );
    kit.model.script({ text: ['Hm'] });
    const persona_id = data.createAgent.agent.databaseId;
    const lines = await gather(stream({ chat_session_info: { persona_id, description: 'Quiet' } }));
    expect(lines.slice(2).map(({ obj }) => obj.type)).toEqual(['message_start', 'message_delta', 'stop']);
    expect(asked()[0]).toMatchObject({ role: 'system', content: expect.stringContaining('Be silent.') });
    expect((await detail(lines[0].chat_session_id)).body).toMatchObject({
      persona_id,
      persona_name: 'Silent',
      description: 'Quiet',
    });
  });

  it('show the search and then the answer with its citations in separate turns', async () => {
    await kit.ingest('Teapots', 'A teapot holds a litre of tea.', {
      id: 'teapots',
      link: 'https://docs.example/teapots',
    });
    const session = await createSession();
    kit.model.script({ text: ['A litre ', '[', '1', '].', ' Yes [1].'] });
    const lines = await gather(stream({ message: 'What holds a teapot?', chat_session_id: session }));
    const document = expect.objectContaining({ document_id: 'teapots', link: 'https://docs.example/teapots' });
    expect(lines).toEqual([
      { user_message_id: expect.any(Number), reserved_assistant_message_id: expect.any(Number) },
      packet(0, { type: 'search_tool_start', is_internet_search: false }),
      packet(0, { type: 'search_tool_queries_delta', queries: ['What holds a teapot?'] }),
      packet(0, { type: 'search_tool_documents_delta', documents: [document] }),
      packet(0, { type: 'section_end' }),
      packet(1, {
        type: 'message_start',
        final_documents: [document],
        pre_answer_processing_seconds: expect.any(Number),
      }),
      packet(1, { type: 'message_delta', content: 'A litre ' }),
      packet(1, { type: 'citation_info', citation_number: 1, document_id: 'teapots' }),
      packet(1, { type: 'message_delta', content: '[[1]](https://docs.example/teapots)' }),
      packet(1, { type: 'message_delta', content: '.' }),
      packet(1, { type: 'message_delta', content: ' Yes ' }),
      packet(1, { type: 'message_delta', content: '[[1]](https://docs.example/teapots)' }),
      packet(1, { type: 'message_delta', content: '.' }),
      packet(1, { type: 'stop', stop_reason: null }),
    ]);
  });

  it('show reasoning in a turn before the answer', async () => {
    kit.model.script({ reasoning: 'Let me think.', text: ['Done'] }, { reasoning: 'Let me think.', text: ['Done'] });
    const plain = await gather(stream({ allowed_tool_ids: [] }));
    expect(plain.slice(2)).toEqual([
      packet(0, { type: 'reasoning_start' }),
      packet(0, { type: 'reasoning_delta', reasoning: 'Let me think.' }),
      packet(0, { type: 'reasoning_done' }),
      packet(1, { type: 'message_start', final_documents: null, pre_answer_processing_seconds: expect.any(Number) }),
      packet(1, { type: 'message_delta', content: 'Done' }),
      packet(1, { type: 'stop', stop_reason: null }),
    ]);
    const searched = await gather(stream({ message: 'Zanzibar' }));
    expect(searched.slice(2).map(({ obj, placement }) => [placement.turn_index, obj.type])).toEqual([
      [0, 'search_tool_start'],
      [0, 'search_tool_queries_delta'],
      [0, 'search_tool_documents_delta'],
      [0, 'section_end'],
      [1, 'reasoning_start'],
      [1, 'reasoning_delta'],
      [1, 'reasoning_done'],
      [2, 'message_start'],
      [2, 'message_delta'],
      [2, 'stop'],
    ]);
    expect(searched.slice(2).map(({ placement }) => placement)).toEqual(
      searched.slice(2).map(({ placement }) => place(placement.turn_index)),
    );
    const { body } = await detail(plain[0].chat_session_id);
    expect(body.messages.at(-1)).toMatchObject({ message: 'Done', reasoning_tokens: 'Let me think.' });
  });

  it('correspond to the events of the GraphQL subscription', async () => {
    await kit.ingest('Teapots', 'A teapot holds a litre of tea.', {
      id: 'teapots',
      link: 'https://docs.example/teapots',
    });
    kit.model.script({ reasoning: 'Hm', text: ['A litre [1]', '.'] });
    const seen = await gather(turn({ message: 'What holds a teapot?' }));
    const documents = [{ number: 1, documentId: 'teapots' }];
    const { sessionId } = seen[0];
    const { assistantMessageId } = seen[1];
    expect(seen).toEqual([
      { __typename: 'ChatSessionCreated', index: 0, sessionId },
      {
        __typename: 'ChatMessageIds',
        index: 1,
        runId: expect.any(String),
        sessionId,
        userMessageId: assistantMessageId - 1,
        assistantMessageId,
      },
      { __typename: 'ChatSearchStarted', index: 2 },
      { __typename: 'ChatSearchQueries', index: 3, queries: ['What holds a teapot?'] },
      { __typename: 'ChatSearchDocuments', index: 4, documents },
      { __typename: 'ChatReasoningStarted', index: 5 },
      { __typename: 'ChatReasoningDelta', index: 6, text: 'Hm' },
      { __typename: 'ChatReasoningEnded', index: 7 },
      { __typename: 'ChatAnswerStarted', index: 8, documents },
      { __typename: 'ChatAnswerDelta', index: 9, text: 'A litre ' },
      { __typename: 'ChatCitation', index: 10, citation: documents[0] },
      { __typename: 'ChatAnswerDelta', index: 11, text: '[[1]](https://docs.example/teapots)' },
      { __typename: 'ChatAnswerDelta', index: 12, text: '.' },
      { __typename: 'ChatTurnStopped', index: 13, reason: 'FINISHED' },
    ]);
    expect(await stored(assistantMessageId)).toMatchObject({
      text: 'A litre [[1]](https://docs.example/teapots).',
      reasoning: 'Hm',
      status: 'COMPLETE',
      citations: documents,
      searchQuery: 'What holds a teapot?',
      model: 'scripted',
      run: { status: 'COMPLETED', error: null, inputTokens: expect.any(Number), outputTokens: expect.any(Number) },
    });
  });
});
