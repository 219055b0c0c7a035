import { chatCounts } from './chat-counts.ts';
import { widgetCreation } from './create-widget.ts';
import { widgetDeletion } from './delete-widget.ts';
import { exchangeLists } from './exchanges.ts';
import { widgetUpdates } from './update-widget.ts';
import type { WidgetDeps } from './widget-deps.ts';
import { widgetLists } from './widget-lists.ts';

/**
 * Chat widgets, which open one agent to the visitors of a web page. Each widget acts as a separate limited service
 * account, with a token that no client has. Each use case has a separate file.
 */
export const createWidgetsService = (deps: WidgetDeps) => ({
  ...widgetLists(deps),
  ...chatCounts(deps),
  ...widgetCreation(deps),
  ...widgetUpdates(deps),
  ...widgetDeletion(deps),
  ...exchangeLists(deps),
});
