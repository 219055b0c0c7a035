import { randomInt } from 'node:crypto';
import type { z } from 'zod';
import type { Prisma } from '../../../generated/prisma/client.ts';
import { slugOf } from '../../../slug.ts';
import { cutText } from '../../../unicode.ts';
import { actionIds, agentStillHere, freeAgentName, type Importing, userStillHere } from '../importing.ts';
import { Unfit } from '../ledger.ts';
import { oneLine } from '../report.ts';
import { cutTo } from '../text.ts';
import type { Source } from './database.ts';
import { DocumentRow, MemberRow, SuggestionRow, WorkspaceRow } from './shapes.ts';

type Transaction = Prisma.TransactionClient;
type Workspace = z.output<typeof WorkspaceRow>;
type Suggestion = z.output<typeof SuggestionRow>;

/** Maximum length of an agent's prompt in UTF-16 units. */
const maxPromptLength = 100_000;

/** The properties of the agent of every workspace. */
export const workspaceAgent = {
  knowledge: 'ATTACHED',
  passageLimit: 4,
  similarityThreshold: 0.25,
  historyLimit: 20,
} as const satisfies Partial<Prisma.AgentCreateInput>;

/** A slug that can be used in a path without encoding. */
export const fitsUrl = /^[^\s/\\?#%]{1,255}$/;

const modes = { chat: 'CHAT', query: 'QUERY' } as const;
const modeOf = (mode: string | null) => modes[mode as keyof typeof modes] ?? 'AUTOMATIC';
const between = (value: number, least: number, most: number) => Math.min(Math.max(value, least), most);

/** Returns the slug, with eight digits when another agent has it. */
export async function freeSlug(transaction: Transaction, wanted: string): Promise<string> {
  const slug = cutText(wanted.toWellFormed(), 255);
  for (let next = slug; ; next = `${slug}-${randomInt(10_000_000, 100_000_000)}`)
    if ((await transaction.agent.count({ where: { slug: next } })) === 0) return next;
}

/** Maximum number of starter messages of an agent, and the maximum length of their parts in UTF-16 units. */
const maxStartersLength = { number: 50, name: 200, message: 2000 };

/** Converts the suggested messages of a workspace to starter messages, in order. Reports truncated texts. */
function startersOf({ report }: Importing, suggestions: readonly Suggestion[], agent: string) {
  const { number, name, message } = maxStartersLength;
  const said = suggestions.filter((suggestion) => suggestion.message?.trim());
  const changed = (how: string) => report.changed(`agent ${agent}`, how);
  if (said.length < suggestions.length)
    changed(`was imported without ${suggestions.length - said.length} empty suggested messages`);
  if (said.length > number) changed(`was imported with only the first ${number} of ${said.length} suggested messages`);
  const kept = said.slice(0, number);
  const long = kept.filter((row) => (row.heading ?? '').length > name || (row.message ?? '').length > message);
  if (long.length > 0) changed(`was imported with ${long.length} truncated suggested messages`);
  return kept.map((row, position) => ({
    position,
    name: cutTo(row.heading ?? '', name),
    message: cutTo(row.message ?? '', message),
  }));
}

/** Imports the workspaces as agents. */
export async function importWorkspaces(importing: Importing, source: Source): Promise<void> {
  const { services, operator, ledger, report } = importing;
  // In multi-user mode, only its members can see a workspace.
  const isPublic = source.setting('multi_user_mode') !== 'true';
  const defaultPrompt = source.setting('default_system_prompt');
  const suggestions = new Map<number, Suggestion[]>();
  for (const row of source.rows('workspace_suggested_messages', SuggestionRow))
    suggestions.set(row.workspaceId, [...(suggestions.get(row.workspaceId) ?? []), row]);

  function modelFor({ chatModel }: Workspace, name: string): string | null {
    if (!chatModel) return null;
    const model = services.models.find(chatModel);
    if (!model)
      report.leave(`model ${oneLine(chatModel)} of agent ${oneLine(name)}`, 'is not available on this server');
    return model?.modelId ?? null;
  }

  async function create(transaction: Transaction, row: Workspace): Promise<string> {
    const { slug, name, openAiTemp: temperature, openAiHistory: history, topN, similarityThreshold } = row;
    if (!slug) throw new Unfit('has no slug');
    const ownerId = operator.userId;
    const own = cutTo(name ?? '', 255).trim() || slug;
    const chosen = await freeAgentName(transaction, ownerId, own);
    if (chosen !== own) report.changed(`agent ${own}`, `was renamed to ${chosen} because another agent has its name`);
    const fit = fitsUrl.test(slug) ? slug : slugOf(own);
    const free = await freeSlug(transaction, fit);
    if (free !== slug)
      report.changed(
        `agent ${own}`,
        `received the slug ${free} because ${slug} ${fit === slug ? 'is already in use' : 'is not valid in a URL'}`,
      );
    const prompt = row.openAiPrompt ?? defaultPrompt ?? '';
    if (prompt.length > maxPromptLength) report.changed(`agent ${own}`, 'was imported with a truncated prompt');
    const agent = await transaction.agent.create({
      data: {
        ...workspaceAgent,
        name: chosen,
        slug: free,
        isPublic,
        systemPrompt: cutTo(prompt, maxPromptLength),
        temperature: temperature === null || temperature < 0 ? null : between(temperature, 0, 2),
        ...(history !== null && { historyLimit: between(Math.trunc(history), 0, 10_000) }),
        ...(topN !== null && { passageLimit: between(Math.trunc(topN), 1, 100) }),
        ...(similarityThreshold !== null && { similarityThreshold: between(similarityThreshold, 0, 1) }),
        chatMode: modeOf(row.chatMode),
        refusalText: row.queryRefusalResponse === null ? null : cutTo(row.queryRefusalResponse, 10_000),
        model: modelFor(row, own),
        owner: { connect: { id: ownerId } },
        starterMessages: { create: startersOf(importing, suggestions.get(row.id) ?? [], own) },
        actions: { connect: (await actionIds(transaction, ['SearchTool'])).map((id) => ({ id })) },
        ...(row.createdAt && { createdAt: row.createdAt }),
      },
    });
    return String(agent.id);
  }

  for (const row of source.rows('workspaces', WorkspaceRow)) {
    await ledger.bring('agent', {
      id: row.id,
      name: row.name || row.slug || String(row.id),
      work: (transaction) => create(transaction, row),
    });
    ledger.step('agent', source.count('workspaces'));
  }
}

/** Shares the agents with the members of their workspaces. */
export async function importMembers(importing: Importing, source: Source): Promise<void> {
  const { ledger, report } = importing;
  for (const row of source.rows('workspace_users', MemberRow)) {
    const agentId = ledger.targetOf('agent', row.workspace_id);
    const userId = ledger.targetOf('user', row.user_id);
    const key = `${row.workspace_id}:${row.user_id}`;
    if (agentId === undefined || userId === undefined)
      report.leave(`member ${key}`, 'refers to a workspace or a user that was not imported');
    else
      await ledger.bring('member', {
        id: key,
        name: key,
        async work(transaction) {
          const where = { agentId: Number(agentId), userId };
          await agentStillHere(transaction, where.agentId);
          await userStillHere(transaction, userId);
          await transaction.agentShare.upsert({ where: { agentId_userId: where }, create: where, update: {} });
          return `${agentId}:${userId}`;
        },
      });
  }
}

/**
 * Adds the documents to the agents whose workspaces had embedded them, and pins the pinned ones. `documents` maps
 * locations to keys: a document that was moved in the source since is already added.
 */
export async function importAttachments(
  importing: Importing,
  source: Source,
  documents: ReadonlyMap<string, string>,
): Promise<void> {
  const { ledger, report } = importing;
  /** A workspace can contain a document twice. */
  const seen = new Set<string>();
  for (const { workspaceId, docpath, pinned } of source.rows('workspace_documents', DocumentRow)) {
    const name = `${docpath ?? ''} of workspace ${workspaceId}`;
    const documentKey = documents.get(docpath ?? '');
    const key = `${workspaceId}:${documentKey ?? docpath ?? ''}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const agentId = ledger.targetOf('agent', workspaceId);
    const documentId = documentKey === undefined ? undefined : ledger.targetOf('document', documentKey);
    if (agentId === undefined) report.leave(`attachment ${oneLine(name)}`, 'its workspace was not imported');
    else if (documentId === undefined) report.leave(`attachment ${oneLine(name)}`, 'its document was not imported');
    else
      await ledger.bring('attachment', {
        id: key,
        name,
        async work(transaction) {
          const id = Number(agentId);
          await agentStillHere(transaction, id);
          const where = { externalId: documentId };
          if ((await transaction.document.count({ where })) === 0) throw new Unfit('its document was deleted here');
          await transaction.agent.update({
            where: { id },
            data: { documents: { connect: where }, ...(pinned && { pinnedDocuments: { connect: where } }) },
          });
          return documentId;
        },
      });
  }
}
