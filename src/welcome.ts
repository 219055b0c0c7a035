/** What the terminal shows once the server listens. The admin key is among it at the first start alone. */
export function welcome(url: string, firstAdminKey: string | null): string {
  const key = firstAdminKey ?? '$KEY';
  const lines = [
    `Latchkey listens on ${url}`,
    '',
    `  GraphiQL    ${url}/graphql`,
    `  REST API    ${url}/api/docs`,
    ...(firstAdminKey ? ['', `  The first admin key, shown this once:  ${firstAdminKey}`] : []),
    '',
    '  Ask it something:',
    `    curl -sS -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" \\`,
    `      -d '{"message":"How do I create a limited key?","stream":false}' \\`,
    `      ${url}/api/chat/send-chat-message`,
    '',
  ];
  return lines.join('\n');
}
