import { z } from 'zod';
import type { ChatModels } from '../../ai/providers.ts';
import { badInput, parse } from '../../errors.ts';
import { plainText } from '../../zod-types.ts';
import type { OpenWidget } from './visitor-access.ts';

/** Maximum length of a visitor's message, in characters. */
const maxMessageLength = 20_000;

const Turn = z.object({
  message: plainText(maxMessageLength).refine((text) => text.trim() !== '', 'Message is empty.'),
  prompt: plainText(maxMessageLength).nullish(),
  model: plainText(200).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
});

/** The widget of a visitor and the visitor's chat ID, which acts as a secret. */
export interface ChatOfVisitor {
  uuid: string;
  clientSessionId: string;
}
export type VisitorTurnInput = ChatOfVisitor & z.input<typeof Turn>;

/** Returns a message with the options that the widget allows; other options are ignored. Throws BAD_USER_INPUT. */
export function readTurn(
  models: ChatModels,
  embed: OpenWidget,
  { message, prompt, model, temperature }: VisitorTurnInput,
) {
  const turn = parse(Turn, {
    message,
    ...(embed.allowPrompt && { prompt }),
    ...(embed.allowModel && { model }),
    ...(embed.allowTemperature && { temperature }),
  });
  // Visitors must not learn which models are configured.
  if (turn.model != null && !models.find(turn.model))
    throw badInput(['input', 'model'], 'This model is not available.');
  return turn;
}
