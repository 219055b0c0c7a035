import type { FirstAdminKey } from './first-admin-key.ts';
import type { Log } from './log.ts';

/**
 * Announces on standard output that the server listens: to people, or with a `log` as lines of JSON. A key that is not in
 * a file is displayed on its own, because a log contains no secrets.
 */
export function announce(url: string, firstKey: FirstAdminKey | null, log: Log | null): void {
  if (log === null) {
    console.log(welcome(url, firstKey));
    return;
  }
  const file = firstKey && 'file' in firstKey ? { firstAdminKeyFile: firstKey.file } : {};
  log.info(
    { url, graphiql: `${url}/graphql`, restApi: `${url}/api/docs`, docs: `${url}/docs`, ...file },
    'Latchkey is listening',
  );
  if (firstKey && 'secret' in firstKey)
    console.log(JSON.stringify({ firstAdminKey: firstKey.secret, msg: 'The first admin key, displayed only once' }));
}

/** What the console shows once the server listens. `firstKey` is null at every start but the first. */
function welcome(url: string, firstKey: FirstAdminKey | null): string {
  const lines = [
    `Latchkey listens on ${url}`,
    '',
    `  GraphiQL    ${url}/graphql`,
    `  REST API    ${url}/api/docs`,
    `  Docs        ${url}/docs`,
    ...noticeOf(firstKey),
    '',
    '  Ask it something:',
    `    curl -sS -H "Authorization: Bearer ${keyInShell(firstKey)}" -H "Content-Type: application/json" \\`,
    `      -d '{"message":"How do I create a limited key?","stream":false}' \\`,
    `      ${url}/api/chat/send-chat-message`,
    '',
  ];
  return lines.join('\n');
}

function noticeOf(firstKey: FirstAdminKey | null): string[] {
  if (firstKey === null) return [];
  return [
    '',
    'secret' in firstKey
      ? `  The first admin key, displayed only once:  ${firstKey.secret}`
      : `  The first admin key is in ${firstKey.file}. Store it elsewhere and delete the file.`,
  ];
}

/** The key as a shell takes it within double quotes. */
function keyInShell(firstKey: FirstAdminKey | null): string {
  if (firstKey === null) return '$KEY';
  return 'secret' in firstKey ? firstKey.secret : `$(cat '${firstKey.file.replaceAll("'", `'\\''`)}')`;
}
