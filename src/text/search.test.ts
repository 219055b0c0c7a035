import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Kit, startKit } from '../../test/kit.ts';

describe('texts that look the same', () => {
  let kit: Kit;
  beforeAll(async () => {
    kit = await startKit();
  });
  afterAll(() => kit.close());

  const code = ({ errors }: Awaited<ReturnType<Kit['gql']>>) => errors[0]?.extensions.code;

  it('are found in the chat history by their plain spelling', async () => {
    const create = 'mutation ($name: String!) { createChatSession(input: { name: $name }) { session { name } } }';
    for (const [written, plain] of [
      ['\ufb01nance', 'finance'],
      ['U\u0308bersicht', 'übersicht'],
      ['\uff35\uff33\uff22', 'usb'],
      ['knowl\u00adedge', 'knowledge'],
    ]) {
      expect((await kit.gql(create, { name: `about ${written}` })).errors).toEqual([]);
      const { body } = await kit.rest('GET', `/api/chat/search?query=${encodeURIComponent(plain ?? '')}`);
      expect(JSON.stringify(body), plain).toContain(`about ${written}`);
    }
  });

  it('conflict as names of agents and as names of labels', async () => {
    const agent = (name: string) =>
      kit.gql('mutation ($name: String!) { createAgent(input: { name: $name }) { agent { slug } } }', { name });
    expect((await agent('Re\u0301sume\u0301 of\ufb01ce')).data.createAgent.agent.slug).toBe('resume-office');
    const before = await kit.fingerprint();
    expect(code(await agent('Résumé office'))).toBe('CONFLICT');
    expect(await kit.fingerprint()).toBe(before);
    const label = (name: string) =>
      kit.gql('mutation ($name: String!) { createLabel(input: { name: $name }) { label { name } } }', { name });
    expect(code(await label('Of\ufb01ce'))).toBeUndefined();
    expect(code(await label('Office'))).toBe('CONFLICT');
  });
});
