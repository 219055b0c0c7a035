import type { Principal } from '../../authz/principal.ts';
import { parse } from '../../errors.ts';
import { slugOf } from '../../slug.ts';
import type { NewDocument } from './add-documents.ts';
import type { IntakeDeps } from './intake-deps.ts';
import { AddText, type AddTextInput } from './intake-input.ts';
import { type Added, addTexts, localDate, webLink } from './intake-texts.ts';
import { maxSlugLength } from './location.ts';

export const textAddition = ({ knowledge }: Pick<IntakeDeps, 'knowledge'>) => ({
  /**
   * Adds a text of at most 2,000,000 characters. See `uploadDocuments` for folder and agents. Throws BAD_USER_INPUT.
   */
  async addText(principal: Principal, input: AddTextInput): Promise<Added[]> {
    const { text, metadata: of, ...where } = parse(AddText, input);
    const name = slugOf(of.title.replace(/(?<=.)\.\w{1,10}$/, '').slice(0, maxSlugLength));
    const document: NewDocument = {
      title: of.title,
      text,
      link: webLink(of.url),
      source: 'raw_text',
      documentUpdatedAt: of.published ?? null,
      name,
      prefix: 'raw-',
      metadata: {
        title: `${name}.txt`,
        url: webLink(of.url) ? `web://${of.url?.toLowerCase()}.website` : `file://${name}.txt`,
        docAuthor: of.docAuthor ?? 'no author specified',
        description: of.description ?? 'no description found',
        docSource: of.docSource ?? 'no source set',
        chunkSource: of.chunkSource ?? of.title,
        published: localDate(of.published),
      },
    };
    return addTexts(knowledge, principal, [document], where);
  },
});
