import { GraphQLError } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Context } from '../../context.ts';
import type { FieldProblem } from '../../errors.ts';
import { brief, place } from '../errors.ts';
import { withNewName } from '../renames.ts';

/**
 * Removes names and values that the caller did not send. The message is already truncated, since the value that it
 * quotes could make this slow. A hint can be cut off.
 */
const withoutHint = (message: string): string =>
  message
    .replaceAll(/ ?Did you mean [^?]*(\?|$)/g, '')
    .replaceAll(/ It was renamed to [^;]*/g, '')
    .replaceAll(/must be one of [^;]*/g, 'is not one of the allowed values');

/**
 * Rewrites error messages for the caller. Name suggestions and the new names of renamed parts of the schema are returned
 * to authenticated callers, and to anonymous callers when `open` is set; quoted values are truncated.
 */
export function useErrorWording(open: boolean): Plugin<object, Context> {
  return {
    onExecutionResult({ result, setResult, context }) {
      if (!result || !('errors' in result) || !result.errors) return;
      const hides = !open && !context.principal;
      const worded = (message: string) => (hides ? withoutHint(brief(message)) : withNewName(brief(message)));
      // Copied, since the errors of a document are cached with it for callers who can see more.
      const errors = result.errors.map((error) => {
        const fields = error.extensions.fields as FieldProblem[] | undefined;
        const told = fields?.map((field) => ({ ...field, message: worded(field.message) }));
        const extensions = { ...error.extensions, ...(told && { fields: told }) };
        return new GraphQLError(worded(error.message), { ...place(error), extensions });
      });
      setResult({ ...result, errors });
    },
  };
}
