import { unzipSync, zipSync } from 'fflate';
import mammoth from 'mammoth';
import { textOfHtml } from './html.ts';
import { UnreadableError } from './unreadable.ts';

/** The most entries that the archive may have. */
const ENTRIES = 2000;

/** The most bytes that the parts may have that are unpacked. */
const UNPACKED = 100_000_000;

/** Text, styles, numbers and notes are XML, and the links between them. Pictures and what is embedded are not read. */
const isPart = (name: string) => /\.(?:xml|rels)$/i.test(name) && !/^(?:customXml|docProps)\//i.test(name);

/** The text of a Word document as Markdown, without its pictures. Nothing that it refers to outside itself is opened. */
export async function textOfDocx(bytes: Uint8Array): Promise<string> {
  const { value } = await mammoth.convertToHtml(
    { buffer: Buffer.from(repack(bytes)) },
    {
      styleMap: ["p[style-name='Title'] => h1:fresh"],
      includeEmbeddedStyleMap: false,
      externalFileAccess: false,
      convertImage: mammoth.images.imgElement(async () => ({ src: '' })),
    },
  );
  return textOfHtml(value);
}

/**
 * An archive of the parts that are read, and of nothing else: what was checked is what is read. Each part is unpacked
 * into as many bytes as its entry declares, and no more, however many there are.
 */
function repack(bytes: Uint8Array): Uint8Array {
  let entries = 0;
  let unpacked = 0;
  const parts = unzipSync(bytes, {
    filter: ({ name, originalSize }) => {
      if (++entries > ENTRIES) throw new UnreadableError(`has more than ${ENTRIES.toLocaleString('en')} parts`);
      if (!isPart(name)) return false;
      unpacked += originalSize;
      if (unpacked > UNPACKED) throw new UnreadableError('is too large when unpacked');
      return true;
    },
  });
  return zipSync(parts, { level: 0 });
}
