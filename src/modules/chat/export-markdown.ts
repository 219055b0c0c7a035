import type { MessageStatus } from '../../generated/prisma/client.ts';
import type { ExportedMessage, SessionHead } from './exported-session.ts';

/** Escapes a text for one line of Markdown. */
const plain = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\\`*_[\]<>#|~]/g, '\\$&');

/** Returns a link target that cannot end early. */
const target = (link: string): string => `<${link.replace(/[<>\s]/g, encodeURIComponent)}>`;

/** Formats the heading of a session. */
export const sessionHeading = ({ name, agent, createdAt, updatedAt }: SessionHead): string =>
  `# ${plain(name ?? '') || 'Untitled chat'}\n\nWith ${plain(agent.name)}. Begun ${createdAt.toISOString()}, last used ${updatedAt.toISOString()}.\n`;

/** Describes why an answer is incomplete. */
const shortened: Partial<Record<MessageStatus, string>> = {
  STREAMING: 'still being written',
  STOPPED: 'stopped',
  FAILED: 'failed',
  INTERRUPTED: 'interrupted',
};

/** Formats a message with its author, time and sources. Its text is already Markdown. */
export function messageMarkdown({ role, status, text, model, createdAt, citations, files }: ExportedMessage): string {
  const who = role === 'USER' ? '**User**' : `**Assistant**${model === null ? '' : ` (${plain(model)})`}`;
  const note = shortened[status] === undefined ? '' : `, ${shortened[status]}`;
  const cited = citations.map(({ number, documentId, title, link }) => {
    const name = plain(title ?? documentId);
    return `- \\[${number}\\] ${link ? `[${name}](${target(link)})` : name}`;
  });
  return [
    `\n${who}, ${createdAt.toISOString()}${note}\n`,
    text && `\n${text}\n`,
    files.length > 0 && `\nFiles:\n\n${files.map(({ name }) => `- ${plain(name)}`).join('\n')}\n`,
    cited.length > 0 && `\nSources:\n\n${cited.join('\n')}\n`,
  ]
    .filter(Boolean)
    .join('');
}
