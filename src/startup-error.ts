/** Stops the start of the server. The message is one line for the operator, without secrets. */
export class StartupError extends Error {
  override readonly name: string = 'StartupError';
}
