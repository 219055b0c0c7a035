import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isAllowed, productionPackages, vulnerabilitiesIn } from '../scripts/dependencies.mjs';
import { projectRoot } from '../src/project-root.ts';

describe('the licenses of the packages that the server needs', () => {
  it('are in the list of allowed licenses', () => {
    const { packages } = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8'));
    const found = productionPackages(packages, () => undefined);
    expect(found.length).toBeGreaterThan(100);
    expect(found.filter(({ license }) => !isAllowed(license))).toEqual([]);
  });

  it.each([
    ['MIT', true],
    ['(AFL-2.1 OR BSD-3-Clause)', true],
    ['MIT AND ISC', true],
    ['MIT AND GPL-3.0-only', false],
    ['(AGPL-3.0-only OR SSPL-1.0)', false],
    ['GPL-2.0', false],
    ['unknown', false],
  ])('%s is allowed: %s', (license, expected) => {
    expect(isAllowed(license)).toBe(expected);
  });

  it('are those of production packages, and come from the package when the lockfile has none', () => {
    const packages = {
      '': { version: '1.0.0' },
      'node_modules/one': { version: '2.0.0' },
      'node_modules/one/node_modules/@scope/two': { version: '3.0.0', license: 'ISC' },
      'node_modules/tool': { version: '4.0.0', license: 'GPL-3.0-only', dev: true },
    };
    expect(productionPackages(packages, (path) => (path === 'node_modules/one' ? 'MIT' : undefined))).toEqual([
      { name: '@scope/two', version: '3.0.0', license: 'ISC' },
      { name: 'one', version: '2.0.0', license: 'MIT' },
    ]);
  });
});

describe('known vulnerabilities', () => {
  it('are those that npm reports', () => {
    const report = { vulnerabilities: { one: { name: 'one', severity: 'high', range: '<2', via: [] } } };
    expect(vulnerabilitiesIn(JSON.stringify(report))).toEqual([{ name: 'one', severity: 'high', range: '<2' }]);
    expect(vulnerabilitiesIn('{"vulnerabilities":{}}')).toEqual([]);
  });

  it.each(['', 'not JSON', '{"message":"405 Method Not Allowed","error":{}}', 'null'])(
    'are not available when npm writes %j',
    (output) => {
      expect(vulnerabilitiesIn(output)).toBeNull();
    },
  );
});
