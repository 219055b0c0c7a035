import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from './project-root.ts';
import { readSettings, SettingsError, settingDefaults, settingNames } from './settings.ts';

/** A value that must never be shown. */
const secret = 'hunter2secret';

/** Values that cannot be used, by their setting. */
const rejected: Record<string, string[]> = {
  PORT: ['abc', '65536', '-1', '80.5', '1e3', '0x50', 'Infinity', ' '],
  HOST: [' '],
  DATA_DIR: [' '],
  REDIS_URL: [
    'foo',
    secret,
    'localhost:6379',
    'http://host',
    'redis://',
    'redis://host/name',
    'redis://host?db=1',
    'redis://:%@host',
  ],
  SECRET_KEY: ['x'.repeat(31)],
  S3_BUCKET: ['x', 'two words', '../x', ' '],
  S3_ENDPOINT: ['localhost:9000', `http://user:${secret}@host`],
  S3_REGION: ['two words', ' '],
  S3_ACCESS_KEY_ID: ['two words'],
  S3_SECRET_ACCESS_KEY: [`${secret} word`],
  S3_PREFIX: ['/files', '../x', 'a//b'],
  S3_FORCE_PATH_STYLE: ['yes'],
  DATABASE_URL: [
    'foo',
    secret,
    '/var/lib/database',
    'host:5432',
    `mysql://user:${secret}@host/db`,
    `http://user:${secret}@host/db`,
    `postgresql:user:${secret}@host/db`,
    `postgresql://user:${secret}@host:99999/db`,
    `postgresql://user:${secret}@host:port/db`,
    `postgresql://user:pa#${secret}@host/db`,
    `postgresql://user:pa/${secret}@host/db`,
    `postgresql://user:%zz${secret}@host/db`,
    `postgresql://user:${secret}@ho st/db`,
  ],
  PUBLIC_URL: [
    'example.com',
    'ftp://example.com',
    'https://',
    'https://example.com/?a=1',
    'https://example.com?',
    'https://example.com/#top',
    `https://user:${secret}@example.com`,
    'javascript:alert(1)',
  ],
  LLM_PROVIDER: ['nope', 'Embedded'],
  LLM_BASE_URL: ['localhost:11434', 'http://host/v1?key=1', `http://user:${secret}@host/v1`],
  LLM_API_KEY: ['two words', `${secret}\nX-Injected: 1`, 'schlüssel'],
  LLM_MODEL: [' '],
  LLM_VISION: ['yes', '1', 'TRUE'],
  LLM_CONTEXT_TOKENS: ['2047', 'many', '10000001'],
  EMBEDDING_MODEL: [' '],
  EMBEDDING_BASE_URL: ['nope', 'http://host/#v1'],
  EMBEDDING_API_KEY: ['two words'],
  IMAGE_MODEL: [' '],
  IMAGE_BASE_URL: ['nope'],
  IMAGE_API_KEY: ['two words'],
  LLM_SILENCE_SECONDS: ['0', '-1', 'soon', '86401'],
  TURN_SECONDS: ['0', '1m'],
  OPERATION_SECONDS: ['0', 'x'],
  SHUTDOWN_SECONDS: ['0', 'x'],
  STATEMENT_SECONDS: ['0', '-5', '1e9', 'x'],
  BOOTSTRAP_ADMIN_KEY: [`on_${secret}`, secret],
  AUTH_TOKEN: ['hunter2'],
  REGISTRATION: ['maybe', 'Open'],
  GRAPHIQL: ['on'],
  TRUSTED_PROXIES: ['-1', '11', 'one'],
  CORS_ORIGINS: [
    'example.com',
    'https://example.com/path',
    'https://*.example.com',
    'https://example.com?x',
    'https://',
    'https://a.example,b.example',
    'null',
  ],
  WIDGET_ORIGINS: ['some'],
  ALLOWED_HOSTS: ['https://example.com', 'a b'],
  AUDIT_RETENTION_DAYS: ['0', '1.5', '36501'],
  CHAT_RETENTION_DAYS: ['0', 'never'],
  WEB_URL: ['chat.example.com', 'https://chat.example.com/?x=1'],
  LINK_ALLOWED_HOSTS: ['http://wiki', 'a/b'],
  MAX_FILE_MB: ['0', '201', '20MB'],
  OTEL_EXPORTER_OTLP_ENDPOINT: ['127.0.0.1:4318', 'grpc://collector:4317'],
  LOG_LEVEL: ['loud', 'INFO'],
};

const problemOf = (name: string, value: string): string => {
  try {
    readSettings({ [name]: value });
  } catch (error) {
    expect(error).toBeInstanceOf(SettingsError);
    return (error as Error).message;
  }
  throw new Error(`${name}=${value} was taken`);
};

describe('an invalid setting value', () => {
  it.each(Object.entries(rejected).flatMap(([name, values]) => values.map((value) => [name, value])))(
    'is rejected with one line that names the setting and the allowed values: %s=%s',
    (name = '', value = '') => {
      const problem = problemOf(name, value);
      expect(problem).toMatch(new RegExp(`^${name} (must|is required with)\\b[^\\n]{5,}$`));
      expect(problem).not.toContain(secret);
      // The words of the library that checks.
      expect(problem).not.toMatch(/expected|received|invalid (input|option)/i);
    },
  );

  it('is a REDIS_URL without DATABASE_URL', () => {
    expect(problemOf('REDIS_URL', 'redis://:p%40ss@host:6379/1')).toMatch(/^REDIS_URL requires DATABASE_URL[^\n]*$/);
    const both = { REDIS_URL: 'rediss://user:p%40ss@host', DATABASE_URL: 'postgresql://host/db' };
    expect(readSettings(both)).toMatchObject({ redisUrl: both.REDIS_URL });
  });

  it('is a bucket without its region and credential, or another setting of S3 without a bucket', () => {
    expect(problemOf('S3_BUCKET', 'files')).toBe(
      ['S3_REGION', 'S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY']
        .map((name) => `${name} is required with S3_BUCKET`)
        .join('; '),
    );
    expect(problemOf('S3_SECRET_ACCESS_KEY', secret)).toBe('S3_SECRET_ACCESS_KEY requires S3_BUCKET');
  });

  it('is tested for every setting, so that no error uses the wording of the validation library', () => {
    expect([...settingNames].sort()).toEqual([...Object.keys(rejected), 'LLM_MODELS', 'NODE_ENV'].sort());
  });

  it('is reported together with the other invalid values, in one line', () => {
    expect(() => readSettings({ PORT: 'x', LOG_LEVEL: 'loud' })).toThrow(
      /^PORT must be a whole number from 0 to 65535; LOG_LEVEL must be silent, fatal, [a-z, ]+ or trace$/,
    );
  });
});

it.each([
  ['PORT', ' 8080 ', { port: 8080 }],
  ['PUBLIC_URL', 'https://example.com/latchkey/', { publicUrl: 'https://example.com/latchkey' }],
  [
    'DATABASE_URL',
    'postgres://user:p%40ss@host/db?sslmode=require',
    { databaseUrl: 'postgres://user:p%40ss@host/db?sslmode=require' },
  ],
  ['DATABASE_URL', 'postgresql:///db?host=/run/postgresql', { databaseUrl: 'postgresql:///db?host=/run/postgresql' }],
  ['CORS_ORIGINS', '*', { corsOrigins: ['*'] }],
  [
    'CORS_ORIGINS',
    'https://Example.com/, http://localhost:3000,chrome-extension://abcdef,',
    { corsOrigins: ['https://example.com', 'http://localhost:3000', 'chrome-extension://abcdef'] },
  ],
  ['STATEMENT_SECONDS', '0.5', { statementTimeoutMs: 500 }],
  ['LOG_LEVEL', '', { logLevel: 'info' }],
])('parses %s=%s', (name, value, expected) => {
  expect(readSettings({ [name]: value })).toMatchObject(expected);
});

describe('.env.example', () => {
  const lines = readFileSync(join(projectRoot, '.env.example'), 'utf8').split('\n');
  const entries = lines.flatMap((line) => {
    const [, name, value] = /^# ([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    return name === undefined || name === 'POSTGRES_PASSWORD' ? [] : [[name, value] as const];
  });

  it('lists every setting once', () => {
    expect(entries.map(([name]) => name).sort()).toEqual([...settingNames].sort());
  });

  it.each(entries)('shows the default of %s', (name, value) => {
    const standard = settingDefaults[name];
    expect(value).toBe(standard === undefined || Array.isArray(standard) ? '' : String(standard));
  });

  it('sets no variable when it is loaded unchanged', () => {
    expect(lines.filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
  });
});
