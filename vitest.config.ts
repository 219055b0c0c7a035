import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The files that take longest, which no file size tells. They start first, so that both workers end at about the same
 * time.
 */
const longest = [
  'test/security/matrix.test.ts',
  'test/e2e/kill.test.ts',
  'test/e2e/process.test.ts',
  'test/imports/command.test.ts',
  'test/e2e/startup.test.ts',
  'test/e2e/backup.test.ts',
  'test/security/loose-input.test.ts',
  'src/modules/files/extract/extractor.test.ts',
  'test/security/attacks-chat.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const index = longest.findIndex((name) => moduleId.endsWith(`/${name}`));
      return index === -1 ? longest.length : index;
    };
    return (await super.sort(files)).sort((one, other) => place(one) - place(other));
  }
}

export default defineConfig({
  resolve: {
    alias: [
      // graphql 16 has two builds; Node takes the CommonJS one, and so must the code under test.
      { find: /^graphql$/, replacement: fileURLToPath(import.meta.resolve('graphql')) },
      { find: /^@node-rs\/argon2$/, replacement: fileURLToPath(new URL('test/argon2.ts', import.meta.url)) },
    ],
  },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: './test/global-setup.ts',
    // Each file starts its own server on its own database, so files share a process and its loaded modules.
    pool: 'forks',
    maxWorkers: 2,
    isolate: false,
    sequence: { sequencer: LongestFirst },
    testTimeout: 20_000,
    hookTimeout: 60_000,
    reporters: ['default'],
  },
});
