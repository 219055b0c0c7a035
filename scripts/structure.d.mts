export const limits: { lines: number; parameters: number; imports: number };
export function excessesOf(file: string, text: string): Map<string, number>;
export function problemsOf(excesses: Map<string, number>, exceptions: Record<string, number>): string[];
