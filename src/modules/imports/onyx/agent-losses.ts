import type { Importing } from '../importing.ts';
import { oneLine } from '../report.ts';
import type { Agent } from './shapes.ts';

/** Maximum length of an agent's texts in UTF-16 units. */
export const longest = { description: 2000, prompt: 100_000, starterName: 200, starterMessage: 2000 };
/** Maximum number of starter messages of an agent. */
export const maxStarters = 50;

/** Reports the parts of an agent that differ or are missing after the import. */
export function reportLosses({ report }: Importing, agent: Agent, name: string): void {
  const cut = (what: string, text: string | null, max: number) => {
    if ((text?.length ?? 0) > max) report.changed(`agent ${name}`, `was imported with a truncated ${what}`);
  };
  cut('description', agent.description, longest.description);
  cut('system prompt', agent.system_prompt, longest.prompt);
  cut('task prompt', agent.task_prompt, longest.prompt);
  const starters = agent.starter_messages;
  const long = starters.filter(
    (starter) => starter.name.length > longest.starterName || starter.message.length > longest.starterMessage,
  );
  if (long.length > 0) report.changed(`agent ${name}`, `was imported with ${long.length} truncated starter messages`);
  if (starters.length > maxStarters)
    report.leave(`${starters.length - maxStarters} starter messages of agent ${name}`, `it has ${maxStarters}`);

  const sets = agent.document_sets.map((set) => oneLine(set.name));
  if (sets.length > 0)
    report.leave(
      `document sets of agent ${name}`,
      `the source does not return their documents (${sets.join(', ')}): attach other documents`,
    );
  const left = (what: string, number: number, reason: string) => {
    if (number > 0) report.leave(`${number} ${what} agent ${name}`, reason);
  };
  left(
    'documents of',
    agent.attached_documents.length,
    'the source does not return their text: attach other documents',
  );
  left('folders of', agent.hierarchy_nodes.length, 'the source does not return their content: attach other documents');
  const groups = Math.max(agent.groups.length, agent.group_shares.length);
  left('groups that may use', groups, 'are not imported: share the agent with people here');
  if (agent.uploaded_image_id !== null) report.leave(`image of agent ${name}`, 'is not returned by the source');
}
