// Lists the licenses of the packages that the server needs at run time, and their known vulnerabilities. Fails when a
// license is not in the list of this file, or when a vulnerability is known. A registry without data about
// vulnerabilities is reported as such.
//
// usage: node scripts/dependencies.mjs              licenses and vulnerabilities
//        node scripts/dependencies.mjs --licenses   licenses only, without the network
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** The licenses of packages that can be distributed with this project, by their SPDX identifiers. */
const allowed = new Set([
  ...['MIT', 'MIT-0', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0', 'PostgreSQL'],
  ...['CC0-1.0', 'Unlicense', 'Zlib'],
]);

/**
 * Returns whether an SPDX expression permits the use of a package: one of its alternatives, with all of its parts, is
 * allowed.
 *
 * @param {string} expression
 */
export const isAllowed = (expression) =>
  expression
    .replaceAll(/[()]/g, '')
    .split(/ OR /)
    .some((alternative) => alternative.split(/ AND /).every((license) => allowed.has(license.trim())));

/**
 * Returns the packages that are installed without development packages, with their licenses. A package whose license is
 * not in the lockfile has that of its own package.json.
 *
 * @param {Record<string, { version?: string, license?: string, dev?: boolean, link?: boolean }>} packages
 * @param {(path: string) => string | undefined} licenseIn
 */
export function productionPackages(packages, licenseIn) {
  return Object.entries(packages)
    .filter(([path, { dev, link }]) => path !== '' && !dev && !link)
    .map(([path, { version, license }]) => ({
      name: path.replace(/^.*node_modules\//, ''),
      version: version ?? '',
      license: license ?? licenseIn(path) ?? 'unknown',
    }))
    .sort((one, other) => one.name.localeCompare(other.name));
}

/** Returns the license in the package.json of an installed package. */
function installedLicense(path) {
  try {
    const { license } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'));
    return typeof license === 'string' ? license : license?.type;
  } catch {
    return undefined;
  }
}

/**
 * Reads the output of `npm audit --json`. Returns null when the registry has no data about vulnerabilities.
 *
 * @param {string} output
 * @returns {{ name: string, severity: string, range: string }[] | null}
 */
export function vulnerabilitiesIn(output) {
  let report;
  try {
    report = JSON.parse(output);
  } catch {
    return null;
  }
  if (typeof report?.vulnerabilities !== 'object' || report.vulnerabilities === null) return null;
  return Object.values(report.vulnerabilities).map(({ name, severity, range }) => ({ name, severity, range }));
}

/** Returns whether all licenses are allowed, and writes how many packages have which license. */
function checkLicenses() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const found = productionPackages(packages, installedLicense);
  const counts = new Map();
  for (const { license } of found) counts.set(license, (counts.get(license) ?? 0) + 1);
  const list = [...counts].sort(([, one], [, other]) => other - one).map(([license, count]) => `${license} ${count}`);
  console.log(`licenses of ${found.length} packages: ${list.join(', ')}`);
  const refused = found.filter(({ license }) => !isAllowed(license));
  for (const { name, version, license } of refused)
    console.error(`${name}@${version}: the license ${license} is not in the list of scripts/dependencies.mjs`);
  return refused.length === 0;
}

/** Returns whether no vulnerability is known, and writes those that are. */
function checkVulnerabilities() {
  const { stdout } = spawnSync('npm', ['audit', '--omit=dev', '--json'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 2 ** 20,
    shell: process.platform === 'win32',
  });
  const found = vulnerabilitiesIn(stdout ?? '');
  if (found === null) {
    console.log('vulnerabilities: not available, the registry of npm does not provide them');
    return true;
  }
  console.log(`vulnerabilities: ${found.length === 0 ? 'none known' : found.length}`);
  for (const { name, severity, range } of found) console.error(`${name} ${range}: ${severity}`);
  return found.length === 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const areLicensesAllowed = checkLicenses();
  const isSafe = process.argv.includes('--licenses') || checkVulnerabilities();
  process.exit(areLicensesAllowed && isSafe ? 0 : 1);
}
