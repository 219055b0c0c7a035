/** A person who is responsible for a document, as its source describes them. */
export interface DocumentOwner {
  displayName: string | null;
  firstName: string | null;
  middleInitial: string | null;
  lastName: string | null;
  email: string | null;
}

/** The name to show for an owner: first and last name, else the display name, the e-mail address, the first or last name. */
export function ownerName({ displayName, firstName, middleInitial, lastName, email }: DocumentOwner): string | null {
  if (firstName && lastName) return [firstName, middleInitial, lastName].filter(Boolean).join(' ');
  return displayName ?? email ?? firstName ?? lastName;
}

/** The names of those who have one. */
export const ownerNames = (owners: readonly DocumentOwner[]): string[] =>
  owners.map(ownerName).filter((name) => name !== null);
