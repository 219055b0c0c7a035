export interface Construction {
  name: string;
  pattern: RegExp;
  instead: string;
}
export interface Group {
  name: string;
  texts: string[];
}
export interface Finding {
  text: string;
  context: string;
  instead: string;
}
export interface Problem {
  group: string;
  message: string;
}
export const constructions: readonly Construction[];
export function findings(text: string): Finding[];
export function countWords(text: string): number;
export function commentsOf(source: string): string[];
export function sdlDescriptionsOf(sdl: string): string[];
export function openApiDescriptionsOf(document: unknown): string[];
export function markdownProseOf(markdown: string): string;
export function isShort(description: string): boolean;
export function problemOf(group: Group, ceiling?: number): Problem | null;
