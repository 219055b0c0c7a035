export const limits: { lines: number; parameters: number; imports: number };
export function excessesOf(file: string, text: string): Map<string, number>;
export const knownPairs: Record<string, string>;
export function mutualImports(texts: ReadonlyMap<string, string>): Map<string, string[]>;
export function pairProblemsOf(pairs: ReadonlyMap<string, readonly string[]>, known: Record<string, string>): string[];
export function problemsOf(excesses: Map<string, number>, exceptions: Record<string, number>): string[];
