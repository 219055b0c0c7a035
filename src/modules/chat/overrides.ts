import { z } from 'zod';
import { badInput } from '../../errors.ts';
import type { Agent, ChatSession } from '../../generated/prisma/client.ts';
import type { ChatModel, ChatModels } from '../../models/providers.ts';
import { plainText } from '../input.ts';

/** What a session, or one turn, can be set to instead of the server's own; null is that. */
export const modelOverrides = {
  model: plainText(200).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  reasoningEffort: z.enum(['OFF', 'LOW', 'MEDIUM', 'HIGH']).nullish(),
};

/**
 * The same models under more names: clients that know several providers write them before a model's own name, as in
 * `provider__model`. A model whose own name is written like that goes first.
 */
export function byAnyName(models: ChatModels): ChatModels {
  return {
    ...models,
    find(name) {
      for (let rest = name; ; ) {
        const model = models.find(rest);
        const end = rest.indexOf('__');
        if (model || end < 0) return model;
        rest = rest.slice(end + 2);
      }
    },
  };
}

/** What a session is set to, as far as a turn in it goes by that. */
type SessionOverrides = Pick<ChatSession, 'model' | 'systemPrompt' | 'taskPrompt'>;

/** The model of a session: the server's own where it chose none, or one that can no longer be chosen. */
export const modelOf = (models: ChatModels, { model }: SessionOverrides): ChatModel =>
  (model === null ? null : models.find(model)) ?? models.default;

/** An agent as it speaks in a session that may have prompts of its own. */
export const promptedBy = (agent: Agent, { systemPrompt, taskPrompt }: SessionOverrides): Agent => ({
  ...agent,
  systemPrompt: systemPrompt ?? agent.systemPrompt,
  taskPrompt: taskPrompt ?? agent.taskPrompt,
});

/** The model that an input, or what is at `at` in it, names. Throws BAD_USER_INPUT that names the field and lists the choices. */
export function chosenModel(models: ChatModels, name: string, at = ['input']): ChatModel {
  const model = models.find(name);
  if (!model) throw badInput([...at, 'model'], `is not one of ${models.names.join(', ')}`);
  return model;
}
