import { SaxesParser } from 'saxes';
import { markedEncoding } from './text-bytes.ts';
import { UnreadableError } from './unreadable.ts';

/** Maximum nesting depth of elements. */
const maxDepth = 1000;

/** Number of bytes parsed at a time. */
const chunkSize = 64 * 1024;

/** An element. Its name has the prefix that the specification of its format uses: `w:p`, `text:p`. */
export interface Element {
  name: string;
  /** Attributes by name. Attributes in a namespace have a prefix, such as `r:id`. */
  attributes: Readonly<Record<string, string>>;
  children: (Element | string)[];
}

/** Callbacks that are called while a document is parsed. */
export interface XmlHandlers {
  open: (name: string, attributes: Readonly<Record<string, string>>) => void;
  close: (name: string) => void;
  text: (text: string) => void;
}

const office = 'http://schemas.openxmlformats.org/';
const strict = 'http://purl.oclc.org/ooxml/';
const openDocument = 'urn:oasis:names:tc:opendocument:xmlns:';

/**
 * Maps namespaces to the prefixes in their specifications, regardless of the prefixes that a document declares.
 * Includes the namespaces of ISO 29500 Strict.
 */
const prefixes: ReadonlyMap<string, string> = new Map([
  ...[
    ['w', 'wordprocessingml/2006/main', 'wordprocessingml/main'],
    ['a', 'drawingml/2006/main', 'drawingml/main'],
    ['c', 'drawingml/2006/chart', 'drawingml/chart'],
    ['dgm', 'drawingml/2006/diagram', 'drawingml/diagram'],
    ['xdr', 'drawingml/2006/spreadsheetDrawing', 'drawingml/spreadsheetDrawing'],
    ['m', 'officeDocument/2006/math', 'officeDocument/math'],
    ['r', 'officeDocument/2006/relationships', 'officeDocument/relationships'],
    ['x', 'spreadsheetml/2006/main', 'spreadsheetml/main'],
    ['p', 'presentationml/2006/main', 'presentationml/main'],
    ['mc', 'markup-compatibility/2006', 'markup-compatibility/2006'],
  ].flatMap(([prefix, transitional, iso]): [string, string][] => [
    [office + transitional, prefix as string],
    [strict + iso, prefix as string],
  ]),
  ['http://schemas.openxmlformats.org/package/2006/relationships', 'rel'],
  ['http://schemas.microsoft.com/office/drawing/2014/chartex', 'cx'],
  ['urn:schemas-microsoft-com:vml', 'v'],
  ...['office', 'text', 'table', 'style', 'chart', 'presentation', 'manifest'].map((name): [string, string] => [
    `${openDocument}${name}:1.0`,
    name,
  ]),
  [`${openDocument}drawing:1.0`, 'draw'],
  ['http://www.w3.org/1999/xlink', 'xlink'],
  ['http://www.w3.org/1998/Math/MathML', 'math'],
  ['http://purl.org/dc/elements/1.1/', 'dc'],
  ['urn:oasis:names:tc:opendocument:xmlns:container', 'container'],
  ['http://www.idpf.org/2007/opf', 'opf'],
  ['http://www.w3.org/2001/04/xmlenc#', 'enc'],
]);

/**
 * Maps the prefixes that are declared at a position in the document to those of the specifications. The empty prefix is
 * the default namespace.
 */
type Scope = Readonly<Record<string, string>>;

/** Returns a scope extended by the namespaces that an element declares. */
function declare(outer: Scope, attributes: Readonly<Record<string, string>>): Scope {
  let scope: Record<string, string> | null = null;
  for (const [name, uri] of Object.entries(attributes)) {
    const [, prefix] = /^xmlns(?::(.+)|$)/.exec(name) ?? [];
    if (prefix === undefined && name !== 'xmlns') continue;
    scope ??= Object.assign(Object.create(null), outer) as Record<string, string>;
    scope[prefix ?? ''] = prefixes.get(uri) ?? prefix ?? '';
  }
  return scope ?? outer;
}

/** Returns a name with the prefix of its specification. An attribute without a prefix is in no namespace. */
function nameIn(scope: Scope, name: string, isAttribute: boolean): string {
  const colon = name.indexOf(':');
  if (colon < 0 && isAttribute) return name;
  const declared = colon < 0 ? '' : name.slice(0, colon);
  const prefix = scope[declared] ?? declared;
  const local = name.slice(colon + 1);
  return prefix === '' ? local : `${prefix}:${local}`;
}

/**
 * Parses XML and calls a handler for each part. Only the five predefined entities of XML are expanded, which prevents
 * entity expansion attacks. Throws when the XML is not well-formed, and UnreadableError when its elements are nested
 * more than 1,000 levels deep.
 */
export function scanXml(bytes: Uint8Array, { open, close, text }: XmlHandlers): void {
  // Namespaces are resolved here, because the parser would search all ancestor elements for each one.
  const parser = new SaxesParser();
  const scopes: Scope[] = [Object.create(null)];
  let deepest = 0;
  parser.on('error', (error) => {
    throw error;
  });
  parser.on('opentag', (tag) => {
    const scope = declare(scopes.at(-1) as Scope, tag.attributes);
    scopes.push(scope);
    deepest = Math.max(deepest, scopes.length - 1);
    const attributes: Record<string, string> = Object.create(null);
    for (const [name, value] of Object.entries(tag.attributes)) attributes[nameIn(scope, name, true)] = value;
    open(nameIn(scope, tag.name, false), attributes);
  });
  parser.on('closetag', (tag) => {
    close(nameIn(scopes.pop() as Scope, tag.name, false));
  });
  parser.on('text', text);
  parser.on('cdata', text);
  const decoder = new TextDecoder(markedEncoding(bytes) ?? 'utf-8');
  for (let at = 0; at < bytes.length; at += chunkSize)
    parser.write(decoder.decode(bytes.subarray(at, at + chunkSize), { stream: true }));
  parser.write(decoder.decode()).close();
  if (deepest > maxDepth) throw new UnreadableError('is nested too deeply');
}

/** Parses XML and returns its root element. Throws the errors of {@link scanXml}. */
export function parseXml(bytes: Uint8Array): Element {
  const root: Element = { name: '', attributes: {}, children: [] };
  const path = [root];
  scanXml(bytes, {
    open: (name, attributes) => {
      const element: Element = { name, attributes, children: [] };
      path.at(-1)?.children.push(element);
      path.push(element);
    },
    close: () => void path.pop(),
    text: (text) => void path.at(-1)?.children.push(text),
  });
  return firstChild(root) ?? root;
}

/** Returns the child elements of an element, without the text between them. */
export const elementsOf = ({ children }: Element): Element[] =>
  children.filter((child): child is Element => typeof child !== 'string');

/** Returns the child elements of a part's root, or an empty list for a missing part. */
export const childrenOf = (root: Element | null): Element[] => (root ? elementsOf(root) : []);

const firstChild = (element: Element): Element | undefined => elementsOf(element)[0];

/** Returns the element at a path of names below an element, using the first child with each name. */
export function find(element: Element | undefined, ...path: string[]): Element | undefined {
  let at = element;
  for (const name of path) at = at && elementsOf(at).find((child) => child.name === name);
  return at;
}

/**
 * Returns all elements of this name within an element, at any depth, in document order. Elements inside a match are not
 * searched.
 */
export function* descendants(element: Element, name: string): Generator<Element> {
  for (const child of elementsOf(element))
    if (child.name === name) yield child;
    else yield* descendants(child, name);
}

/** Returns all text within an element. */
export const textWithin = (element: Element | undefined): string =>
  element?.children.map((child) => (typeof child === 'string' ? child : textWithin(child))).join('') ?? '';
