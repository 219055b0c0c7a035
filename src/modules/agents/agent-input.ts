import { z } from 'zod';
import { blank, databaseId, plainText } from '../../zod-types.ts';
import { type Changes, clearList } from '../changes.ts';

const StarterMessage = z.object({ name: plainText(200), message: plainText(2000) });

const fields = {
  name: plainText(255).refine((name) => name.trim() !== '', blank),
  description: plainText(2000),
  systemPrompt: plainText(100_000),
  taskPrompt: plainText(100_000),
  replaceBaseSystemPrompt: z.boolean(),
  datetimeAware: z.boolean(),
  isPublic: z.boolean(),
  isFeatured: z.boolean(),
  displayPriority: databaseId,
  iconName: plainText(100),
  knowledge: z.enum(['ALL', 'ATTACHED']),
  searchStartDate: z.date(),
  passageLimit: z.number().int().min(1).max(100),
  similarityThreshold: z.number().min(0).max(1),
  model: plainText(200),
  modelIfAvailable: plainText(200),
  temperature: z.number().min(0).max(2),
  historyLimit: z.number().int().min(0).max(1000),
  chatMode: z.enum(['AUTOMATIC', 'CHAT', 'QUERY']),
  refusalText: plainText(2000),
  starterMessages: z.array(StarterMessage).max(50),
  labelIds: z.array(databaseId).max(100),
  actionIds: z.array(databaseId).max(100),
  builtinActions: z.array(plainText(100)).max(100),
  documentIds: z.array(plainText(500)).max(1000),
  fileIds: z.array(z.uuid()).max(100),
  userIds: z.array(z.uuid()).max(1000),
  allowSameName: z.boolean(),
};
type Fields = typeof fields;
const optionalFields = Object.fromEntries(Object.entries(fields).map(([name, type]) => [name, type.nullish()])) as {
  [Name in keyof Fields]: z.ZodOptional<z.ZodNullable<Fields[Name]>>;
};
export const UpdateAgent = z.object({
  ...optionalFields,
  clear: clearList([
    'displayPriority',
    'iconName',
    'searchStartDate',
    'model',
    'temperature',
    'historyLimit',
    'refusalText',
  ]),
});
export const CreateAgent = z.object({
  ...optionalFields,
  name: fields.name,
  usualPrompt: fields.systemPrompt.nullish(),
});
const Shares = z.array(z.object({ userId: z.uuid(), permission: z.enum(['VIEWER', 'EDITOR']).nullish() })).max(1000);
export const ShareAgent = z.object({
  shares: Shares.nullish(),
  isPublic: z.boolean().nullish(),
  labelIds: fields.labelIds.nullish(),
});
export const CurateAgent = z.object({
  isListed: z.boolean().nullish(),
  isFeatured: z.boolean().nullish(),
  displayPriority: databaseId.nullish(),
  clear: clearList(['displayPriority']),
});

export type CreateAgentInput = z.input<typeof CreateAgent>;
export type UpdateAgentInput = z.input<typeof UpdateAgent>;
export type ShareAgentInput = z.input<typeof ShareAgent>;
export type CurateAgentInput = z.input<typeof CurateAgent>;
export type AgentShareInput = z.input<typeof Shares>[number];
export type AgentChanges = Changes<z.output<typeof UpdateAgent>>;
