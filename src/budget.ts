import { AppError } from './errors.ts';

/** The most that one operation may use while it runs. */
export interface BudgetLimits {
  /** Objects that are resolved. */
  nodes: number;
  /** Characters of the texts that are resolved. */
  text: number;
  /** Time, in milliseconds. */
  deadline: number;
}

export type BudgetLimit = keyof BudgetLimits;

export interface RunOptions {
  /** Whether the deadline applies. Operations that wait for a model or for files have separate limits. */
  timed: boolean;
  /**
   * Whether to answer as soon as a limit is exceeded. A mutation answers when the change that it makes has ended, or a
   * client would repeat a change that is made after all.
   */
  answersEarly: boolean;
}

/**
 * The resources that one operation may use while it runs. The estimate before execution cannot know how many items the
 * lists hold; this class counts them and ends the operation: every later step throws the error of the limit.
 */
export class Budget {
  private used = { nodes: 0, text: 0 };
  private endsAt = Number.POSITIVE_INFINITY;
  private stopped: AppError | null = null;
  private onStop: ((error: AppError) => void) | null = null;

  constructor(
    private readonly limits: BudgetLimits,
    /** Receives the name of the limit that ended the operation. */
    private readonly onExceeded: (limit: BudgetLimit) => void = () => {},
  ) {}

  /** Runs an operation within these limits. Throws the error of the limit that ended it, or what `work` throws. */
  async run<T>(work: () => T | Promise<T>, { timed, answersEarly }: RunOptions): Promise<T> {
    if (timed) this.endsAt = performance.now() + this.limits.deadline;
    const ended = new Promise<never>((_resolve, reject) => {
      this.onStop = answersEarly ? reject : null;
    });
    const timer = timed && answersEarly ? setTimeout(() => this.stopAtDeadline(), this.limits.deadline) : undefined;
    try {
      const result = await Promise.race([work(), ended]);
      if (this.stopped) throw this.stopped;
      return result;
    } finally {
      clearTimeout(timer);
      this.onStop = null;
    }
  }

  /** Throws when the operation has been ended, or has reached its deadline. Every step of an operation begins with it. */
  check(): void {
    if (performance.now() >= this.endsAt) this.stopAtDeadline();
    if (this.stopped) throw this.stopped;
  }

  /** Counts resolved nodes or text. Throws when the operation exceeds its limit. */
  spend(what: 'nodes' | 'text', amount: number): void {
    this.used[what] += amount;
    if (this.used[what] > this.limits[what])
      this.stop(
        what,
        new AppError('BAD_USER_INPUT', 'RESPONSE_TOO_LARGE', tooMuch[what](this.limits[what]), { limit: what }),
      );
    if (this.stopped) throw this.stopped;
  }

  /** Begins the count anew, for the next event of a subscription. */
  renew(): void {
    this.used = { nodes: 0, text: 0 };
  }

  private stopAtDeadline(): void {
    const seconds = this.limits.deadline / 1000;
    const message = `The operation exceeded the time limit of ${seconds} seconds and was stopped. Changes made before that remain.`;
    this.stop('deadline', new AppError('TIMEOUT', 'OPERATION_TIMEOUT', message, { limit: 'deadline' }));
  }

  private stop(limit: BudgetLimit, error: AppError): void {
    if (this.stopped) return;
    this.stopped = error;
    this.onExceeded(limit);
    this.onStop?.(error);
  }
}

const tooMuch = {
  nodes: (limit: number) => `The response contains more than ${limit} objects. Request smaller pages with \`first\`.`,
  text: (limit: number) =>
    `The response contains more than ${limit} characters of text. Request smaller pages with \`first\`, or fewer fields.`,
};
