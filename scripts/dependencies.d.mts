/** A package that the server needs at run time. */
interface ProductionPackage {
  name: string;
  version: string;
  license: string;
}

interface Vulnerability {
  name: string;
  severity: string;
  range: string;
}

/** Returns whether an SPDX expression permits the use of a package. */
export function isAllowed(expression: string): boolean;

/** Returns the packages that are installed without development packages, with their licenses. */
export function productionPackages(
  packages: Record<string, { version?: string; license?: string; dev?: boolean; link?: boolean }>,
  licenseIn: (path: string) => string | undefined,
): ProductionPackage[];

/** Reads the output of `npm audit --json`. Returns null when the registry has no data about vulnerabilities. */
export function vulnerabilitiesIn(output: string): Vulnerability[] | null;
