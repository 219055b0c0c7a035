import type { AppError } from '../errors.ts';

/** Maps the credential fields whose names differ between the GraphQL schema and the REST API. */
const wireNames = {
  allScopes: 'all_scopes',
  expiresAt: 'expires_at',
  expiresInDays: 'expiration_days',
  keepDerivedCredentials: 'keep_derived',
  neverExpires: 'never_expires',
  overlapMinutes: 'overlap_minutes',
  projectId: 'project_id',
};

/** Returns the validation problems of an error, with the field names of the REST API. */
export function wireMessage({ details, message }: AppError): string {
  const renamed = (text: string) =>
    Object.entries(wireNames).reduce((known, [name, wire]) => known.replaceAll(name, wire), text);
  return (
    details.fields?.map(({ path, message }) => renamed(`${path.slice(1).join('.')}: ${message}`)).join('; ') ?? message
  );
}
