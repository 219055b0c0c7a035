import type { MessageStatus } from '../../generated/prisma/client.ts';

/** An exported session. A JSON export is an array of these; the format is stable. */
export interface ExportedSession {
  id: string;
  name: string | null;
  agent: { id: number; name: string };
  createdAt: Date;
  updatedAt: Date;
  /** The whole tree, oldest first: a message follows its parent. */
  messages: ExportedMessage[];
}

export interface ExportedMessage {
  id: number;
  parentId: number | null;
  latestChildId: number | null;
  role: 'SYSTEM' | 'USER' | 'ASSISTANT';
  status: MessageStatus;
  text: string;
  reasoning: string | null;
  model: string | null;
  createdAt: Date;
  citations: { number: number; documentId: string; title: string | null; link: string | null }[];
  files: { id: string; name: string }[];
}

/** An exported session without its messages. */
export type SessionHead = Omit<ExportedSession, 'messages'>;
