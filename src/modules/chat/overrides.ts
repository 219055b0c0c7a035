import { z } from 'zod';
import type { ChatModel, ChatModels } from '../../ai/providers.ts';
import { badInput } from '../../errors.ts';
import type { Agent, ChatSession } from '../../generated/prisma/client.ts';
import { plainText } from '../../zod-types.ts';

/** The model options of a session or a single turn. Null selects the server's default. */
export const modelOverrides = {
  model: plainText(200).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  reasoningEffort: z.enum(['OFF', 'LOW', 'MEDIUM', 'HIGH']).nullish(),
};

/**
 * Adds aliases to the models: clients that know several providers put the provider before the name, as in
 * `provider__model`. A model whose own name has this form takes precedence.
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

/** The prompts of a session, which override those of its agent. */
type SessionPrompts = Pick<ChatSession, 'systemPrompt' | 'taskPrompt'>;

/**
 * Returns the model of the first session or agent in the list that selects a configured model, or the server's default.
 */
export function modelOf(models: ChatModels, ...choosers: readonly { model: string | null }[]): ChatModel {
  for (const { model } of choosers) {
    const chosen = model === null ? null : models.find(model);
    if (chosen) return chosen;
  }
  return models.default;
}

/** Returns an agent with the prompts of a session applied. */
export const promptedBy = (agent: Agent, { systemPrompt, taskPrompt }: SessionPrompts): Agent => ({
  ...agent,
  systemPrompt: systemPrompt ?? agent.systemPrompt,
  taskPrompt: taskPrompt ?? agent.taskPrompt,
});

/** Returns the model with this name. Throws BAD_USER_INPUT that names the field at `at` and lists the choices. */
export function chosenModel(models: ChatModels, name: string, at = ['input']): ChatModel {
  const model = models.find(name);
  if (!model) throw badInput([...at, 'model'], `is not one of ${models.names.join(', ')}`);
  return model;
}
