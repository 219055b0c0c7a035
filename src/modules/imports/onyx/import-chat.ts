import type { Prisma } from '../../../generated/prisma/client.ts';
import { type Importing, userStillHere } from '../importing.ts';
import { writeSession } from '../message-writer.ts';
import type { OnyxClient } from './client.ts';
import { importFiles } from './files.ts';
import { importMessages } from './import-messages.ts';
import { messageHere } from './message-places.ts';
import type { ProjectChats } from './projects.ts';
import { Message, nameOf, Session, type SessionRef } from './shapes.ts';
import { choicesOf, treeOf } from './tree.ts';

/** Results of earlier steps that the import of chats needs. */
export interface EarlierSteps {
  projects: ProjectChats;
  /** The agents that failed: a chat without its agent would permanently use another one. */
  failedAgents: ReadonlySet<number>;
}

/** Returns the agent that a chat continues with. Reports when that is not its agent in the source. */
async function agentOf(
  transaction: Prisma.TransactionClient,
  { ledger, report }: Importing,
  personaId: number | null,
  name: string,
): Promise<number> {
  const id = Number(ledger.targetOf('agent', personaId ?? 0) || 0);
  const there = id === 0 || (await transaction.agent.count({ where: { id } })) > 0;
  if (personaId !== null && personaId > 0 && (id === 0 || !there))
    report.changed(`chat ${name}`, 'continues with the built-in agent because its agent does not exist here');
  return there ? id : 0;
}

/** Returns the message tree of a session. Reports the messages that cannot be read. */
function readMessages({ report }: Importing, session: Session, called: string) {
  const messages = session.messages.flatMap((entry) => Message.safeParse(entry).data ?? []);
  if (messages.length < session.messages.length)
    report.leave(
      `${session.messages.length - messages.length} messages of chat ${called}`,
      'do not have the form of messages',
    );
  const { nodes, circular } = treeOf(messages);
  if (circular > 0) report.leave(`${circular} messages of chat ${called}`, 'refer to each other in a cycle');
  return { messages, nodes };
}

/**
 * Imports a session with its messages, or the new messages of a session that was imported before. Throws when the next
 * run may import it.
 */
export async function importChat(
  importing: Importing,
  client: OnyxClient,
  ref: SessionRef,
  { projects, failedAgents }: EarlierSteps,
): Promise<void> {
  const { services, operator, ledger, report, dryRun } = importing;
  const called = ref.name ?? ref.id;
  const { data } = Session.safeParse(await client.readIfThere(`/chat/get-chat-session/${ref.id}`, [403]));
  if (!data) {
    report.leave(`chat ${called}`, 'cannot be read');
    return;
  }
  const personaId = data.persona_id ?? ref.persona_id;
  if (ledger.targetOf('session', ref.id) === undefined && failedAgents.has(personaId ?? 0))
    throw new Error('is imported together with its agent');
  const { messages, nodes } = readMessages(importing, data, called);
  const fresh = nodes.filter(({ message }) => messageHere(ledger, ref.id, message.message_id) === undefined);
  const files = new Map<number, string[]>();
  for (const { message } of fresh)
    if (message.files.length > 0 && !dryRun)
      files.set(message.message_id, await importFiles(importing, client, message.files));

  const name = nameOf(data.description ?? ref.name, 500);
  const projectId = projects.projectOf.get(ref.id);
  const begun = data.time_created ?? ref.time_created ?? messages[0]?.time_sent ?? new Date();
  const target = await ledger.bring('session', {
    id: ref.id,
    name: name ?? ref.id,
    async work(transaction) {
      await userStillHere(transaction, operator.userId);
      const model = data.current_alternate_model ? services.models.find(data.current_alternate_model) : null;
      const { current_temperature_override: temperature } = data;
      const session = await writeSession(transaction, {
        id: ref.id,
        userId: operator.userId,
        agentId: await agentOf(transaction, importing, personaId, name ?? ref.id),
        projectId: projectId === undefined ? null : Number(ledger.targetOf('project', projectId)),
        name,
        sharing: data.shared_status === 'public' ? 'PUBLIC' : 'PRIVATE',
        model: model?.modelId ?? null,
        temperature: temperature !== null && temperature >= 0 && temperature <= 2 ? temperature : null,
        createdAt: begun,
        updatedAt: ref.time_updated ?? nodes.at(-1)?.message.time_sent ?? begun,
      });
      return session.id;
    },
  });
  if (target === null || fresh.length === 0) return;
  await importMessages(importing, target, {
    id: ref.id,
    name: name ?? ref.id,
    fresh,
    files,
    parents: new Map(nodes.map(({ message, parent }) => [message.message_id, parent])),
    choices: choicesOf(messages),
  });
}
