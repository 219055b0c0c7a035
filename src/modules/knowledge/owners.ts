/** A person responsible for a document, as described by its source. */
export interface DocumentOwner {
  displayName: string | null;
  firstName: string | null;
  middleInitial: string | null;
  lastName: string | null;
  email: string | null;
}

/**
 * Returns the display name of an owner: first and last name, or else the display name, the e-mail address, the first or
 * last name.
 */
export function ownerName({ displayName, firstName, middleInitial, lastName, email }: DocumentOwner): string | null {
  if (firstName && lastName) return [firstName, middleInitial, lastName].filter(Boolean).join(' ');
  return displayName ?? email ?? firstName ?? lastName;
}

/** Returns the names of the owners that have one. */
export const ownerNames = (owners: readonly DocumentOwner[]): string[] =>
  owners.map(ownerName).filter((name) => name !== null);
