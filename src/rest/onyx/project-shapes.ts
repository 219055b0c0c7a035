import { z } from '@hono/zod-openapi';
import { graphql, type ResultOf } from '../graphql.ts';
import { isoDate } from '../shapes.ts';
import { ChatSessionDetails, SessionDetails, sessionDetails } from './chat-shapes.ts';

export const ProjectSnapshot = graphql(
  `
  fragment ProjectSnapshot on Project @_unmask {
    databaseId name description instructions createdAt
    owner { databaseId }
    chatSessions(first: $sessions) { nodes { ...SessionDetails } }
  }
`,
  [SessionDetails],
);

export const UserProjectSnapshot = z
  .object({
    id: z.int(),
    name: z.string(),
    description: z.string().nullable(),
    created_at: isoDate,
    user_id: z.uuid().nullable(),
    instructions: z.string().nullable(),
    chat_sessions: z
      .array(ChatSessionDetails)
      .openapi({ description: 'The sessions of the project. Empty if the credential lacks `read:chat`.' }),
  })
  .openapi('UserProjectSnapshot');

export const snapshot = (project: ResultOf<typeof ProjectSnapshot>): z.input<typeof UserProjectSnapshot> => ({
  id: project.databaseId,
  name: project.name,
  description: project.description,
  created_at: project.createdAt,
  user_id: project.owner.databaseId,
  instructions: project.instructions,
  chat_sessions: project.chatSessions?.nodes.map(sessionDetails) ?? [],
});
