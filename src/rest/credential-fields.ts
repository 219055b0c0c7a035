import type { AppError } from '../errors.ts';

/** The fields of credentials whose names differ between the graph and the REST paths. */
const wireNames = {
  allScopes: 'all_scopes',
  expiresAt: 'expires_at',
  expiresInDays: 'expiration_days',
  keepDerivedCredentials: 'keep_derived',
  neverExpires: 'never_expires',
  overlapMinutes: 'overlap_minutes',
  projectId: 'project_id',
};

/** Returns the problems of an error, with their fields as the REST paths name them. */
export function wireMessage({ details, message }: AppError): string {
  const renamed = (text: string) =>
    Object.entries(wireNames).reduce((known, [name, wire]) => known.replaceAll(name, wire), text);
  return (
    details.fields?.map(({ path, message }) => renamed(`${path.slice(1).join('.')}: ${message}`)).join('; ') ?? message
  );
}
