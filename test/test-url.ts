/** Where the servers of the tests say that they are. */
export const testUrl = 'http://latchkey.test';
