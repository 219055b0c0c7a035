import { z } from 'zod';
import type { AgentKey } from '../agents/by-slug.ts';
import { clearList } from '../changes.ts';
import { origins } from './origins.ts';

const quota = z.number().int().min(1).max(0x7fff_ffff).nullish();

const properties = {
  chatMode: z.enum(['AUTOMATIC', 'CHAT', 'QUERY']).nullish(),
  allowedOrigins: origins.nullish(),
  allowModel: z.boolean().nullish(),
  allowTemperature: z.boolean().nullish(),
  allowPrompt: z.boolean().nullish(),
  maxChatsPerDay: quota,
  maxChatsPerSession: quota,
  messageLimit: z.number().int().min(1).max(1000, 'must be at most 1000').nullish(),
};
export const CreateWidget = z.object(properties);
export const UpdateWidget = z.object({
  enabled: z.boolean().nullish(),
  ...properties,
  clear: clearList(['maxChatsPerDay', 'maxChatsPerSession', 'messageLimit']),
});

export type CreateWidgetInput = z.input<typeof CreateWidget> & { agent: AgentKey };
export type UpdateWidgetInput = z.input<typeof UpdateWidget> & { agent: AgentKey | null };
