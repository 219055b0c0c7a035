import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, misspeltSettings } from './misspelt-settings.ts';
import { settingNames } from './settings.ts';

const found = (name: string, value = 'x') => misspeltSettings({ [name]: value }).map(({ setting }) => setting);

describe('a variable that looks like a misspelt setting', () => {
  it.each([
    ['REGISTRATON', 'REGISTRATION'],
    ['GRAPHQIL', 'GRAPHIQL'],
    ['GRAPHIQL_ENABLED', 'GRAPHIQL'],
    ['ENABLE_GRAPHIQL', 'GRAPHIQL'],
    ['LATCHKEY_PORT', 'PORT'],
    ['DATABASE_URI', 'DATABASE_URL'],
    ['DATABASEURL', 'DATABASE_URL'],
    ['database_url', 'DATABASE_URL'],
    ['CORS_ORIGIN', 'CORS_ORIGINS'],
    ['TRUSTED_PROXY', 'TRUSTED_PROXIES'],
    ['TRUST_PROXIES', 'TRUSTED_PROXIES'],
    ['ALLOWED_HOST', 'ALLOWED_HOSTS'],
    ['LOGLEVEL', 'LOG_LEVEL'],
    ['LLM_BASEURL', 'LLM_BASE_URL'],
    ['LLM_APIKEY', 'LLM_API_KEY'],
    ['PUBLIC-URL', 'PUBLIC_URL'],
    ['BOOTSTRAP_ADMN_KEY', 'BOOTSTRAP_ADMIN_KEY'],
    ['STATEMENT_SECOND', 'STATEMENT_SECONDS'],
  ])('is reported with the intended setting: %s', (name, setting) => {
    expect(found(name)).toEqual([setting]);
  });

  it('is not reported when the intended setting is also set', () => {
    expect(misspeltSettings({ LOGLEVEL: 'debug', LOG_LEVEL: 'info' })).toEqual([]);
  });

  it('is reported when any one letter of a long name is wrong', () => {
    const long = settingNames.filter((name) => name.length > 8);
    fc.assert(
      fc.property(fc.constantFrom(...long), fc.nat(), fc.constantFrom('Q', ''), (name, at, letter) => {
        const place = at % name.length;
        if (name[place] === '_') return;
        const misspelt = name.slice(0, place) + letter + name.slice(place + 1);
        if (settingNames.includes(misspelt)) return;
        expect([misspelt, found(misspelt).length]).toEqual([misspelt, 1]);
      }),
    );
  });
});

describe('a variable for another program', () => {
  // What shells, npm, container platforms, CI systems and other programs set.
  const ordinary = `HOME HOSTNAME HOSTTYPE HOSTS LOGNAME USER PATH PWD OLDPWD SHELL SHLVL TERM LANG LC_ALL TZ EDITOR PAGER MAIL
    PORTAL SPORT EXPORT DISPLAY TMPDIR TEMP XDG_DATA_DIRS XDG_DATA_HOME XDG_RUNTIME_DIR COLORTERM LS_COLORS SSH_AUTH_SOCK
    NODE_OPTIONS NODE_PATH NODE_VERSION NODE_EXTRA_CA_CERTS NPM_TOKEN NPM_CONFIG_LOGLEVEL npm_config_loglevel
    npm_package_name npm_lifecycle_event YARN_VERSION CI GITHUB_TOKEN GH_TOKEN GITHUB_ACTIONS DEBUG FORCE_COLOR NO_COLOR
    KUBERNETES_PORT KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT LATCHKEY_SERVICE_HOST LATCHKEY_SERVICE_PORT
    DATABASE_USER DATABASE_SSL DATABASE_HOST DATABASE_PORT DATABASE_NAME DATABASE_PASSWORD DATABASE_URL_UNPOOLED
    DATABASE_URL_NON_POOLING DB_URL DB_HOST PGHOST PGPORT PGUSER PGDATA PGPASSWORD POSTGRES_USER POSTGRES_PASSWORD
    POSTGRES_DB REDIS_HOST APP_URL API_URL BASE_URL SITE_URL WEB_PORT HTTP_PROXY HTTPS_PROXY NO_PROXY
    OPENAI_API_KEY OPENAI_BASE_URL ANTHROPIC_API_KEY AWS_REGION AWS_SECRET_ACCESS_KEY JWT_SECRET API_KEY
    STORAGE_DIR SERVER_PORT VECTOR_DB EMBEDDING_ENGINE LLM_PROVIDERS_URL OLLAMA_HOST DYNO RENDER FLY_APP_NAME
    OTEL_EXPORTER_OTLP_ENDPOINT OTEL_SERVICE_NAME S3_BUCKET INVOCATION_ID JOURNAL_STREAM SYSTEMD_EXEC_PID _ P`;

  it.each(ordinary.split(/\s+/))('is not reported: %s', (name) => {
    expect(found(name)).toEqual([]);
  });

  it('is not reported when a container platform derived it from a service name', () => {
    expect(found('LATCHKEY_PORT', 'tcp://10.96.0.7:4000')).toEqual([]);
  });
});

it('the edit distance counts insertions, deletions, replacements and swapped adjacent letters', () => {
  expect(editDistance('', 'abc')).toBe(3);
  expect(editDistance('abc', '')).toBe(3);
  expect(editDistance('GRAPHQIL', 'GRAPHIQL')).toBe(1);
  expect(editDistance('kitten', 'sitting')).toBe(3);
});
