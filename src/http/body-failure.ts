/** The reason why a body was not read completely: the status and message of the response. */
export interface BodyFailure {
  status: 408 | 413 | 429;
  text: string;
}
