/** The URL of the servers in tests. */
export const testUrl = 'http://latchkey.test';
