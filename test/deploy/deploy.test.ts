import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../src/project-root.ts';
import { readSettings, settingNames } from '../../src/settings.ts';
import { type Kit, startKit } from '../kit.ts';
import { assignmentsIn, documentsOf, readDeploy, readYaml, yamlFiles } from './deploy-files.ts';

const compose = readYaml('compose.yaml');
const deployment = readYaml('kubernetes/deployment.yaml');
const pod = deployment.spec.template.spec;
const [container] = pod.containers;
const values = assignmentsIn(readDeploy('compose.env.example'));

/** Replaces `${NAME}` and `${NAME:-default}` as Compose does. */
const interpolated = (text: string, environment: Record<string, string>): string =>
  text.replace(/\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}/g, (_, name, fallback = '') => environment[name] || fallback);

/** The environment that each way of deployment gives to the server. */
const environments: Record<string, Record<string, string>> = {
  'compose.yaml': Object.fromEntries(
    Object.entries<string | number>(compose.services['server-1'].environment).map(([name, value]) => [
      name,
      interpolated(String(value), { ...values, POSTGRES_PASSWORD: 'secret', SECRET_KEY: 'a'.repeat(32) }),
    ]),
  ),
  kubernetes: {
    ...readYaml('kubernetes/config.yaml').data,
    ...readYaml('kubernetes/secret.example.yaml').stringData,
    ...Object.fromEntries(container.env.map(({ name, value }: { name: string; value: string }) => [name, value])),
  },
  systemd: {
    ...assignmentsIn(readDeploy('systemd/latchkey.env.example')),
    ...Object.fromEntries(
      [...readDeploy('systemd/latchkey.service').matchAll(/^Environment=(.*)$/gm)]
        .flatMap(([, line = '']) => line.split(' '))
        .map((assignment) => assignment.split('=') as [string, string]),
    ),
  },
};

describe('the files in deploy/', () => {
  it.each(yamlFiles)('%s is valid YAML', (name) => {
    expect(documentsOf(name).length).toBeGreaterThan(0);
  });

  it.each(Object.entries(environments))('%s sets settings of the server with allowed values', (_, environment) => {
    expect(Object.keys(environment).length).toBeGreaterThan(4);
    expect(Object.keys(environment).filter((name) => !settingNames.includes(name))).toEqual([]);
    expect(readSettings(environment).trustedProxies).toBe(1);
  });

  it('name the port of the image', () => {
    const port = Number(/^EXPOSE (\d+)$/m.exec(readFileSync(join(projectRoot, 'Dockerfile'), 'utf8'))?.[1]);
    expect(container.ports).toEqual([{ name: 'http', containerPort: port }]);
    expect(environments.kubernetes?.PORT).toBe(String(port));
    expect(readDeploy('Caddyfile')).toContain(`reverse_proxy server-1:${port} server-2:${port} {`);
    expect(readDeploy('nginx.conf')).toContain(`server 127.0.0.1:${port};`);
  });

  it('let proxies wait longer than an answer takes, and take the largest body', () => {
    const { turnMs, maxFileSize } = readSettings({});
    const { annotations } = readYaml('kubernetes/ingress.yaml').metadata;
    const waits = [
      /proxy_read_timeout (\d+)s/.exec(readDeploy('nginx.conf'))?.[1],
      /read_timeout (\d+)s/.exec(readDeploy('Caddyfile'))?.[1],
      annotations['nginx.ingress.kubernetes.io/proxy-read-timeout'],
    ];
    for (const wait of waits) expect(Number(wait) * 1000).toBeGreaterThan(turnMs);
    const sizes = [
      /client_max_body_size (\d+)m/.exec(readDeploy('nginx.conf'))?.[1],
      /max_size (\d+)MiB/.exec(readDeploy('Caddyfile'))?.[1],
      annotations['nginx.ingress.kubernetes.io/proxy-body-size'].replace('m', ''),
    ];
    for (const size of sizes) expect(Number(size) * 2 ** 20).toBe(2 * maxFileSize + 2 ** 20);
  });

  it('give a stopping server more time than its running answers have', () => {
    const shutdown = (name: string) => readSettings(environments[name] ?? {}).shutdownMs / 1000;
    // The server waits for clients that still read, finishes its work and exports traces.
    const margin = 10;
    const [, before] = container.lifecycle.preStop.exec.command;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(Number(before) + shutdown('kubernetes') + margin);
    const grace = Number.parseInt(compose.services['server-1'].stop_grace_period, 10);
    expect(grace).toBeGreaterThanOrEqual(shutdown('compose.yaml') + margin);
    const timeout = Number(/^TimeoutStopSec=(\d+)$/m.exec(readDeploy('systemd/latchkey.service'))?.[1]);
    expect(timeout).toBeGreaterThanOrEqual(shutdown('systemd') + margin);
  });
});

describe('compose.yaml', () => {
  it('starts two instances that share the database, Valkey, the secret and the files', () => {
    const { 'server-1': one, 'server-2': other, database, valkey, proxy } = compose.services;
    expect(one).toEqual(other);
    const { databaseUrl, redisUrl, secretKey, dataDir } = readSettings(environments['compose.yaml'] ?? {});
    expect(new URL(databaseUrl ?? '').hostname in compose.services).toBe(true);
    expect(new URL(redisUrl ?? '').hostname in compose.services).toBe(true);
    expect(secretKey).toHaveLength(32);
    expect(one.volumes).toEqual([`files:${dataDir}`]);
    expect([database.image, valkey.image, proxy.image]).toEqual(['postgres:17', 'valkey/valkey:8', 'caddy:2']);
  });

  it('reads every variable from compose.env.example', () => {
    const used = new Set([...readDeploy('compose.yaml').matchAll(/\$\{(\w+)/g)].map(([, name]) => name));
    expect([...used].sort()).toEqual(Object.keys(values).sort());
  });
});

describe('the Kubernetes manifests', () => {
  it('select the pods of the deployment, and refer to objects that exist', () => {
    const { labels } = deployment.spec.template.metadata;
    const service = readYaml('kubernetes/service.yaml');
    expect(service.spec.selector).toEqual(labels);
    expect(deployment.spec.selector.matchLabels).toEqual(labels);
    expect(readYaml('kubernetes/disruption-budget.yaml').spec.selector.matchLabels).toEqual(labels);
    const [claim] = pod.volumes;
    expect(claim.persistentVolumeClaim.claimName).toBe(readYaml('kubernetes/volume.yaml').metadata.name);
    expect(readYaml('kubernetes/volume.yaml').spec.accessModes).toEqual(['ReadWriteMany']);
    expect(container.envFrom).toEqual([
      { configMapRef: { name: readYaml('kubernetes/config.yaml').metadata.name } },
      { secretRef: { name: readYaml('kubernetes/secret.example.yaml').metadata.name } },
    ]);
    const [{ http }] = readYaml('kubernetes/ingress.yaml').spec.rules;
    expect(http.paths[0].backend.service).toEqual({ name: service.metadata.name, port: { name: 'http' } });
    const listed: string[] = readYaml('kubernetes/kustomization.yaml').resources;
    const files = yamlFiles.filter((name) => /^kubernetes\/(?!kustomization|secret)/.test(name));
    expect(listed.map((name) => `kubernetes/${name}`).sort()).toEqual(files);
  });

  it('run two instances without privileges, of which one stays available', () => {
    expect(deployment.spec.replicas).toBe(2);
    expect(deployment.spec.strategy.rollingUpdate.maxUnavailable).toBe(0);
    expect(readYaml('kubernetes/disruption-budget.yaml').spec.minAvailable).toBe(1);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });
});

describe('with a running server', () => {
  let kit: Kit;
  let metrics: string;
  beforeAll(async () => {
    kit = await startKit({ scripted: true });
    metrics = (await kit.rest('GET', '/metrics')).text;
  });
  afterAll(() => kit?.close());

  it('the probes find their paths', async () => {
    const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe].map(
      ({ httpGet }) => httpGet.path as string,
    );
    const paths = [...probes, /health_uri (\S+)/.exec(readDeploy('Caddyfile'))?.[1] ?? ''];
    expect(new Set(paths)).toEqual(new Set(['/health/ready', '/health/live']));
    for (const path of paths) expect((await kit.rest('GET', path, { key: null })).status).toBe(200);
    const scrape = readYaml('prometheus/prometheus.yaml').scrape_configs[0];
    expect((await kit.rest('GET', scrape.metrics_path)).status).toBe(200);
  });

  /** Returns the names of metrics in an expression of Prometheus. */
  const metricsIn = (expression: string): string[] =>
    [
      ...expression
        .replace(/\{[^}]*\}|"[^"]*"|\[[^\]]*\]/g, ' ')
        .replace(/\b(by|on|group_left|without)\s*\([^)]*\)/g, ' ')
        .matchAll(/\b[a-z][a-z0-9_]*\b(?!\s*\()/g),
    ]
      .map(([name]) => name)
      .filter((name) => name !== 'up');

  const dashboard = JSON.parse(readDeploy('grafana/latchkey.json'));
  const expressions: [string, string][] = [
    ...readYaml('prometheus/alerts.yaml').groups.flatMap(({ rules }: any) =>
      rules.map(({ alert, expr }: { alert: string; expr: string }) => [alert, expr]),
    ),
    ...dashboard.panels.flatMap(({ title, targets = [] }: any) =>
      targets.map(({ expr }: { expr: string }) => [title, expr]),
    ),
  ];

  it.each(expressions)('the expression of "%s" uses metrics and labels that exist', (_, expression) => {
    const types = new Map([...metrics.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]));
    const names = metricsIn(expression);
    if (!/^up\b/.test(expression)) expect(names).not.toEqual([]);
    for (const name of names) {
      const base = name.replace(/_(bucket|sum|count)$/, '');
      expect(types.get(name) ?? types.get(base), name).toBeDefined();
      if (types.get(base) === 'histogram') expect(name, name).not.toBe(base);
    }
    const own = kit.booted.foundation.metrics.registry.getMetricsAsArray() as unknown as { labelNames: string[] }[];
    const labels = new Set(['le', 'instance', 'job', ...own.flatMap(({ labelNames }) => labelNames)]);
    const used = [
      ...[...expression.matchAll(/(\w+)(?:=~|!~|!=|=)"/g)].map(([, label]) => label),
      ...[...expression.matchAll(/\b(?:by|on)\s*\(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/)),
    ];
    for (const label of used) expect([...labels]).toContain(label);
  });

  it('the dashboard and the alerts use every group of metrics of the server', () => {
    const used = new Set(expressions.flatMap(([, expression]) => metricsIn(expression)));
    const own = kit.booted.foundation.metrics.registry.getMetricsAsArray() as unknown as { name: string }[];
    const unused = own
      .map(({ name }) => name)
      .filter((name) => !used.has(name) && !used.has(`${name}_bucket`) && !used.has(`${name}_count`));
    expect(unused).toEqual([
      'job_last_run_timestamp_seconds',
      'job_last_success_timestamp_seconds',
      'job_last_run_duration_seconds',
    ]);
  });
});

/** Returns whether a program is installed. */
const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;

it.skipIf(!has('systemd-analyze'))('the systemd unit is valid (needs systemd-analyze)', () => {
  const { status, stderr } = spawnSync(
    'systemd-analyze',
    ['verify', join(projectRoot, 'deploy/systemd/latchkey.service')],
    {
      encoding: 'utf8',
    },
  );
  // A machine without Node in /usr/bin cannot start the unit.
  expect(
    stderr.split('\n').filter((line) => line !== '' && !/is not executable|Failed to prepare filename/.test(line)),
  ).toEqual([]);
  if (!/is not executable/.test(stderr)) expect(status).toBe(0);
});
