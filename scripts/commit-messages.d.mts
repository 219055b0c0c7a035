export function messageProblemsOf(message: string): string[];
