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

/** What a session says to the model instead of its agent. */
type SessionPrompts = Pick<ChatSession, 'systemPrompt' | 'taskPrompt'>;

/**
 * The model of the first of these, a session or an agent, that chose one which can still be chosen; the server's own
 * where none did.
 */
export function modelOf(models: ChatModels, ...choosers: readonly { model: string | null }[]): ChatModel {
  for (const { model } of choosers) {
    const chosen = model === null ? null : models.find(model);
    if (chosen) return chosen;
  }
  return models.default;
}

/** An agent as it speaks in a session that may have prompts of its own. */
export const promptedBy = (agent: Agent, { systemPrompt, taskPrompt }: SessionPrompts): Agent => ({
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
