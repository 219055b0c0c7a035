import type { LanguageModelMiddleware } from 'ai';

/** Shorter keys are placeholders for servers without keys (`1`, `ollama`), and ordinary words in error messages. */
const minSecretLength = 8;

/** The properties of an error that can contain text from the provider. */
const textProperties = ['message', 'stack', 'responseBody', 'responseHeaders', 'data', 'text', 'value', 'cause'];

export type Redact = (text: string) => string;

/** Returns a function that removes an API key from a text, or null when the key is too short to be a secret. */
export function redactionOf(apiKey: string | undefined): Redact | null {
  if (apiKey === undefined || apiKey.length < minSecretLength) return null;
  const escaped = JSON.stringify(apiKey).slice(1, -1);
  return (text) => text.replaceAll(apiKey, '[redacted]').replaceAll(escaped, '[redacted]');
}

function redactValue(value: unknown, redact: Redact): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map((item) => redactValue(item, redact));
  if (value instanceof Error) return redactError(value, redact);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, redactValue(item, redact)]));
}

/** Removes the key from an error and its causes in place, since callers check the class of an error. */
export function redactError(error: unknown, redact: Redact): unknown {
  if (!(error instanceof Error)) return redactValue(error, redact);
  for (const name of textProperties)
    if (Object.hasOwn(error, name)) Reflect.set(error, name, redactValue(Reflect.get(error, name), redact));
  return error;
}

/**
 * Removes the provider's API key from the errors of a language model, thrown or in a stream: a provider can quote the
 * key that it rejects. Answers are unchanged.
 */
export const redactErrors = (redact: Redact): LanguageModelMiddleware => ({
  specificationVersion: 'v3',
  wrapGenerate: async ({ doGenerate }) => {
    try {
      return await doGenerate();
    } catch (error) {
      throw redactError(error, redact);
    }
  },
  wrapStream: async ({ doStream }) => {
    try {
      const { stream, ...rest } = await doStream();
      return {
        ...rest,
        stream: stream.pipeThrough(
          new TransformStream({
            transform(part, controller) {
              controller.enqueue(part.type === 'error' ? { ...part, error: redactError(part.error, redact) } : part);
            },
          }),
        ),
      };
    } catch (error) {
      throw redactError(error, redact);
    }
  },
});
