export function prepare(options: { build: boolean; dev?: boolean }): Promise<void>;
export function preparePages(): Promise<void>;
