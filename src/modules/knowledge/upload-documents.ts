import type { Principal } from '../../authz/principal.ts';
import { badInput, parse } from '../../errors.ts';
import type { Format } from '../files/extract/kinds.ts';
import type { Upload } from '../files/upload-file.ts';
import type { NewDocument } from './add-documents.ts';
import type { IntakeDeps } from './intake-deps.ts';
import { UploadDocuments, type UploadDocumentsInput } from './intake-input.ts';
import { type Added, addTexts, fileName, localDate, readText, webLink } from './intake-texts.ts';

/** Maximum number of files of one request. */
const maxFiles = 20;

/** The name of a format in the description of a document's source. Text files have no entry. */
const fileSource: Partial<Record<Format, string>> = {
  pdf: 'pdf',
  docx: 'docx',
  xlsx: 'xlsx',
  pptx: 'pptx',
  odf: 'an OpenDocument',
  epub: 'epub',
  eml: 'an e-mail',
  rtf: 'rtf',
};

export const documentUploads = ({ knowledge, files }: Pick<IntakeDeps, 'knowledge' | 'files'>) => ({
  /**
   * Adds the texts of 1 to 20 files, each of at most `MAX_FILE_MB` and 2,000,000 characters; if one fails, no text is
   * added. The files are not stored. `folder` is created if it does not exist; `agentSlugs` that are unknown or not
   * editable are ignored. Throws BAD_USER_INPUT that names the file that cannot be read.
   */
  async uploadDocuments(
    principal: Principal,
    uploads: readonly Upload[],
    input: UploadDocumentsInput,
  ): Promise<Added[]> {
    const { metadata: of, ...where } = parse(UploadDocuments, input);
    if (uploads.length === 0 || uploads.length > maxFiles)
      throw badInput(['input', 'files'], `must be 1 to ${maxFiles} files`);
    const documents: NewDocument[] = [];
    for (const [at, upload] of uploads.entries()) {
      const name = fileName(upload.name);
      const file = { name, bytes: await upload.bytes() };
      const { text, format } = await readText(files, principal, ['input', 'files', at], file);
      documents.push({
        title: of.title ?? name,
        text,
        link: webLink(of.url),
        source: 'upload',
        documentUpdatedAt: of.published ?? null,
        name,
        prefix: '',
        metadata: {
          url: of.url ?? `file://${name}`,
          docAuthor: of.docAuthor ?? 'Unknown',
          description: of.description ?? 'Unknown',
          docSource: of.docSource ?? `${fileSource[format] ?? 'a text'} file uploaded by the user.`,
          chunkSource: of.chunkSource ?? '',
          published: localDate(of.published),
        },
      });
    }
    return addTexts(knowledge, principal, documents, where);
  },
});
