import { z } from 'zod';
import { conflict, parse } from '../../errors.ts';
import { cut, ListOrder, type PageArgs } from '../../paging.ts';
import { searchForm } from '../../text/normalize.ts';
import { plainText } from '../../zod-types.ts';
import type { AgentDeps } from './agent-deps.ts';

export const labelOrder = new ListOrder('labels', [{ field: 'id', type: 'int', direction: 'asc' }]);

export const labels = ({ db }: AgentDeps) => ({
  async listLabels(args: PageArgs, limit: number, query: object) {
    const page = labelOrder.page(args, limit);
    return cut(await db.prisma.label.findMany({ ...query, ...page }), page);
  },

  countLabels: () => db.prisma.label.count(),

  async createLabel(input: { name: string }) {
    const { name } = parse(z.object({ name: plainText(100).trim().min(1) }), input);
    const labels = await db.prisma.label.findMany({ select: { name: true } });
    const taken = labels.some((label) => searchForm(label.name) === searchForm(name));
    const { count } = taken
      ? { count: 0 }
      : await db.prisma.label.createMany({ data: [{ name }], skipDuplicates: true });
    if (count === 0) throw conflict('LABEL_NAME_TAKEN', `A label with the name '${name}' already exists.`, { name });
    return db.prisma.label.findUniqueOrThrow({ where: { name } });
  },
});
