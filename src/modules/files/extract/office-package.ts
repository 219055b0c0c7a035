import { type Parts, unpack } from './archive.ts';
import { UnreadableError } from './unreadable.ts';
import { childrenOf, type Element, parseXml } from './xml.ts';

/**
 * Text, styles, numbering and notes are XML, and so are the relationships between them. Images and embedded objects are
 * not read.
 */
const isPart = (name: string) => /\.(?:xml|rels)$/i.test(name) && !/^(?:customXml|docProps)\//i.test(name);

/** Returns whether a part is inserted into a Word document unchanged: a web page, a text file or another document. */
const isInserted = (name: string) => /^word\/.+\.(?:html?|xhtml|txt|docx)$/i.test(name);

/** A reference from one part to another. */
export interface Relation {
  /** The last segment of its type, such as `header` or `chart`. */
  type: string;
  /** The name of a part, or an address outside the package. */
  target: string;
  isExternal: boolean;
}

/** The parts of an Office Open XML file (ECMA-376) and the relations between them. */
export class OfficePackage {
  private readonly parsed = new Map<string, Element | null>();
  private readonly relations = new Map<string, ReadonlyMap<string, Relation>>();

  private constructor(private readonly parts: Parts) {}

  /** Opens a package. Throws the errors of {@link unpack}. */
  static open(bytes: Uint8Array): OfficePackage {
    return new OfficePackage(unpack(bytes, (name) => isPart(name) || isInserted(name)));
  }

  /** Returns the name of the main part of the package. Throws UnreadableError for a package of another kind. */
  main(): string {
    const found = [...this.relationsOf('').values()].find(({ type }) => type === 'officeDocument')?.target;
    if (found === undefined || !this.parts.has(found)) throw new UnreadableError('could not be read');
    return found;
  }

  /** Returns the root element of a part, or null for a missing part. Throws when the part is not well-formed XML. */
  read(name: string | undefined): Element | null {
    if (name === undefined) return null;
    let root = this.parsed.get(name);
    if (root === undefined) {
      const bytes = this.parts.get(name);
      root = bytes ? parseXml(bytes) : null;
      this.parsed.set(name, root);
    }
    return root;
  }

  bytes(name: string): Uint8Array | undefined {
    return this.parts.get(name);
  }

  /** Returns the relations of a part by ID. For an empty name, returns the relations of the package itself. */
  relationsOf(name: string): ReadonlyMap<string, Relation> {
    const known = this.relations.get(name);
    if (known) return known;
    const slash = name.lastIndexOf('/');
    const folder = name.slice(0, slash + 1);
    const root = this.read(`${folder}_rels/${name.slice(slash + 1)}.rels`);
    const relations = new Map(childrenOf(root).map((element) => relationOf(folder, element)));
    this.relations.set(name, relations);
    return relations;
  }

  /**
   * Returns the first part of this type that a part refers to, or else the part in the same folder that usually has
   * this name.
   */
  related(name: string, type: string): string | undefined {
    const usual = `${name.slice(0, name.lastIndexOf('/') + 1)}${type}.xml`;
    const relation = [...this.relationsOf(name).values()].find((each) => each.type === type);
    return relation?.target ?? (this.parts.has(usual) ? usual : undefined);
  }
}

function relationOf(folder: string, { attributes }: Element): [id: string, Relation] {
  const { Id = '', Type = '', Target = '', TargetMode } = attributes;
  const isExternal = TargetMode === 'External';
  const target = isExternal ? Target : resolve(folder, Target);
  return [Id, { type: Type.split('/').at(-1) ?? '', target, isExternal }];
}

/** Returns the name of the part that a relation in this folder refers to. */
function resolve(folder: string, target: string): string {
  const names: string[] = [];
  for (const name of (target.startsWith('/') ? target : folder + target).split('/'))
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  return names.join('/');
}
