/** The folder of documents that were put into none. It is always there. */
export const defaultFolder = 'custom-documents';

/** A document's folder and file name, by which the AnythingLLM paths know it. */
export const locationOf = ({ fileName, folder }: { fileName: string; folder: { name: string } | null }): string =>
  `${folder?.name ?? defaultFolder}/${fileName}`;
