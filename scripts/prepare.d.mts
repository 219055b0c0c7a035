export function prepare(options: { build: boolean }): Promise<void>;
export function preparePages(): Promise<void>;
