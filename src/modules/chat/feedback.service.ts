import { z } from 'zod';
import type { Principal } from '../../authz/principal.ts';
import { visible } from '../../authz/visible.ts';
import { badInput, notFound, parse } from '../../errors.ts';
import { type Feedback, Prisma } from '../../generated/prisma/client.ts';
import { cut, ListOrders, type ListRequest } from '../../paging.ts';
import type { Database } from '../../store/database.ts';
import { databaseId, plainText } from '../../zod-types.ts';
import { changesOf, clearList } from '../changes.ts';
import { storableDate } from '../knowledge/retrieval.ts';

const feedbackRatings = ['LIKE', 'DISLIKE'] as const;
export type FeedbackRating = (typeof feedbackRatings)[number];

const Rate = z.object({
  messageId: databaseId,
  rating: z.enum(feedbackRatings).nullish(),
  comment: plainText(10_000).nullish(),
  reason: plainText(500).nullish(),
  clear: clearList(['rating', 'comment', 'reason']),
});
const RemoveRating = z.object({ messageId: databaseId });
const Filter = z.object({
  rating: z.enum(feedbackRatings).nullish(),
  createdSince: storableDate.nullish(),
  createdBefore: storableDate.nullish(),
});

export type RateInput = z.input<typeof Rate>;
export type RemoveRatingInput = z.input<typeof RemoveRating>;
export type FeedbackFilter = z.input<typeof Filter>;

/** IDs increase with the time at which feedback was first given. */
export const feedbackOrders = new ListOrders(
  'feedback',
  { CREATED_AT: [{ field: 'id', type: 'int', direction: 'asc' }] },
  { field: 'CREATED_AT', direction: 'DESC' },
);

/** Returns the rating of a stored feedback, or null for a comment without a rating. */
export const ratingOf = ({ positive }: Pick<Feedback, 'positive'>): FeedbackRating | null =>
  positive === null ? null : positive ? 'LIKE' : 'DISLIKE';

const positiveOf = (rating: FeedbackRating | null | undefined): boolean | null =>
  rating == null ? null : rating === 'LIKE';

/** Throws BAD_USER_INPUT that names the field of the filter. */
function matching(filter: FeedbackFilter): Prisma.FeedbackWhereInput {
  const { rating, createdSince, createdBefore } = parse(Filter, filter, ['filter']);
  return {
    AND: [
      visible.feedback(),
      rating == null ? {} : { positive: positiveOf(rating) },
      createdSince == null ? {} : { createdAt: { gte: createdSince } },
      createdBefore == null ? {} : { createdAt: { lt: createdBefore } },
    ],
  };
}

/** Creates the service for ratings of answers: one rating per reader and answer. */
export function createFeedbackService(db: Database) {
  /**
   * Throws the same NOT_FOUND for a missing message, a message that is not an answer, and one in a session of another
   * user.
   */
  async function checkRatable(principal: Principal, messageId: number): Promise<void> {
    const where = { ...visible.chatMessages(principal), id: messageId, role: 'ASSISTANT' as const };
    if ((await db.prisma.chatMessage.count({ where })) === 0) throw notFound('CHAT_MESSAGE_NOT_FOUND');
  }

  return {
    /**
     * Stores the principal's feedback on an answer, which may be complete or still streaming. Fields that are null or
     * absent keep their earlier values; an empty text removes a comment or a reason. Maximum length: 10,000 characters
     * for a comment, 500 for a reason. Throws NOT_FOUND, and BAD_USER_INPUT, also when neither a rating nor a comment
     * remains.
     */
    async rate(principal: Principal, input: RateInput): Promise<Feedback> {
      const { messageId, rating, ...texts } = changesOf(parse(Rate, input));
      await checkRatable(principal, messageId);
      const { userId } = principal;
      const where = { messageId_userId: { messageId, userId } };
      const given = {
        ...(rating !== undefined && { positive: positiveOf(rating) }),
        ...Object.fromEntries(Object.entries(texts).map(([field, text]) => [field, text || null])),
      };
      try {
        return await db.prisma.$transaction(async (transaction) => {
          const before = await transaction.feedback.findUnique({ where });
          const after = { positive: null, comment: null, ...before, ...given };
          if (after.positive === null && after.comment === null)
            throw badInput(['input', 'rating'], 'is required without a comment');
          return transaction.feedback.upsert({ where, create: { messageId, userId, ...given }, update: given });
        });
      } catch (error) {
        // The session and its answers were erased meanwhile.
        if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === 'P2003')
          throw notFound('CHAT_MESSAGE_NOT_FOUND');
        throw error;
      }
    },

    /** Removes the principal's rating of an answer and returns whether there was one. Throws NOT_FOUND. */
    async remove(principal: Principal, input: RemoveRatingInput): Promise<boolean> {
      const { messageId } = parse(RemoveRating, input);
      await checkRatable(principal, messageId);
      const { count } = await db.prisma.feedback.deleteMany({ where: { messageId, userId: principal.userId } });
      return count > 0;
    },

    /** Returns a page of the feedback of all users in an order. Throws BAD_USER_INPUT. */
    async list(filter: FeedbackFilter, { order, args, limit, query }: ListRequest) {
      const page = order.page(args, limit);
      const where = { AND: [matching(filter), page.where] };
      return cut(await db.prisma.feedback.findMany({ ...query, ...page, where }), page);
    },

    count: (filter: FeedbackFilter) => db.prisma.feedback.count({ where: matching(filter) }),
  };
}
