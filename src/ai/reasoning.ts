import type { LanguageModelV3Content, LanguageModelV3StreamPart } from '@ai-sdk/provider';
import type { LanguageModelMiddleware } from 'ai';

const opening = '<think>';
const closing = '</think>';

type Piece = { type: 'reasoning' | 'text'; text: string } | { type: 'reasoning-end' };

/** Returns the length of `text` without an ending that can be the start of `tag`, and without whitespace before it. */
function settledLength(text: string, tag: string): number {
  let length = Math.min(tag.length - 1, text.length);
  while (length > 0 && !tag.startsWith(text.slice(-length))) length -= 1;
  return text.slice(0, text.length - length).trimEnd().length;
}

/**
 * Separates the `<think>…</think>` blocks at the start of an answer from the answer, for any division into deltas.
 * Whitespace around a block and around its content is removed.
 */
class ThinkBlocks {
  private state: 'before' | 'inside' | 'answer' = 'before';
  /** Text that cannot be assigned before more arrives. */
  private held = '';
  private afterBlock = false;
  private hasReasoning = false;
  /** The current block as written. */
  private block = '';

  push(text: string): Piece[] {
    if (this.state === 'answer') return [{ type: 'text', text }];
    this.held += text;
    if (this.state === 'inside') this.block += text;
    const pieces: Piece[] = [];
    while (this.state === 'before' ? this.enter(pieces) : this.state === 'inside' && this.leave(pieces));
    return pieces;
  }

  /** Ends the answer. Also returns an unclosed block as written. */
  end(): { pieces: Piece[]; unclosed: string | null } {
    const { state, held } = this;
    this.state = 'answer';
    this.held = '';
    if (state === 'inside')
      return { pieces: [...this.reasoning(held.trimEnd()), { type: 'reasoning-end' }], unclosed: this.block };
    const text = this.afterBlock ? held.trimStart() : held;
    return { pieces: text === '' ? [] : [{ type: 'text', text }], unclosed: null };
  }

  /** Starts a block or the answer. Returns whether a block started. */
  private enter(pieces: Piece[]): boolean {
    const text = this.held.trimStart();
    if (text.startsWith(opening)) {
      this.state = 'inside';
      this.block = text;
      this.held = text.slice(opening.length);
      this.hasReasoning = false;
      return true;
    }
    if (opening.startsWith(text)) return false;
    this.state = 'answer';
    pieces.push({ type: 'text', text: this.afterBlock ? text : this.held });
    this.held = '';
    return false;
  }

  /** Continues a block. Returns whether it ended. */
  private leave(pieces: Piece[]): boolean {
    const end = this.held.indexOf(closing);
    const length = end < 0 ? settledLength(this.held, closing) : end;
    const text = this.held.slice(0, length);
    pieces.push(...this.reasoning(end < 0 ? text : text.trimEnd()));
    this.held = this.held.slice(end < 0 ? length : end + closing.length);
    if (end < 0) return false;
    if (this.hasReasoning) pieces.push({ type: 'reasoning-end' });
    this.state = 'before';
    this.afterBlock = true;
    return true;
  }

  private reasoning(written: string): Piece[] {
    const text = this.hasReasoning ? written : written.trimStart();
    if (text === '') return [];
    this.hasReasoning = true;
    return [{ type: 'reasoning', text }];
  }
}

function separated(): TransformStream<LanguageModelV3StreamPart, LanguageModelV3StreamPart> {
  const blocks = new ThinkBlocks();
  let unclosed: string | null = null;
  let textStart: Extract<LanguageModelV3StreamPart, { type: 'text-start' }> | null = null;
  let hasText = false;
  let reasoningId: string | null = null;
  let count = 0;

  type Controller = TransformStreamDefaultController<LanguageModelV3StreamPart>;
  function emit(piece: Piece, id: string, controller: Controller): void {
    if (piece.type === 'reasoning') {
      if (reasoningId === null) {
        count += 1;
        reasoningId = `think-${count}`;
        controller.enqueue({ type: 'reasoning-start', id: reasoningId });
      }
      controller.enqueue({ type: 'reasoning-delta', id: reasoningId, delta: piece.text });
    } else if (piece.type === 'reasoning-end') {
      if (reasoningId !== null) controller.enqueue({ type: 'reasoning-end', id: reasoningId });
      reasoningId = null;
    } else {
      if (textStart) controller.enqueue(textStart);
      textStart = null;
      hasText = true;
      controller.enqueue({ type: 'text-delta', id, delta: piece.text });
    }
  }

  return new TransformStream({
    transform(part, controller) {
      if (part.type === 'text-start') textStart = part;
      else if (part.type === 'text-delta')
        for (const piece of blocks.push(part.delta)) emit(piece, part.id, controller);
      else if (part.type === 'text-end') {
        const last = blocks.end();
        unclosed = last.unclosed ?? unclosed;
        for (const piece of last.pieces) emit(piece, part.id, controller);
        if (textStart === null) controller.enqueue(part);
        textStart = null;
      } else if (part.type === 'finish' && unclosed !== null && !hasText && part.finishReason.unified === 'stop') {
        const id = 'unclosed-think';
        controller.enqueue({ type: 'text-start', id });
        controller.enqueue({ type: 'text-delta', id, delta: unclosed });
        controller.enqueue({ type: 'text-end', id });
        controller.enqueue(part);
      } else controller.enqueue(part);
    },
  });
}

function separatedContent(content: LanguageModelV3Content[], stopped: boolean): LanguageModelV3Content[] {
  const blocks = new ThinkBlocks();
  return content.flatMap((part): LanguageModelV3Content[] => {
    if (part.type !== 'text') return [part];
    const pieces = blocks.push(part.text);
    const last = blocks.end();
    pieces.push(...last.pieces);
    const textOf = (type: 'reasoning' | 'text') =>
      pieces.flatMap((piece) => (piece.type === type ? [piece.text] : [])).join(type === 'reasoning' ? '\n' : '');
    const reasoning = textOf('reasoning');
    const text = last.unclosed !== null && stopped ? last.unclosed : textOf('text');
    return [
      ...(reasoning === '' ? [] : [{ type: 'reasoning' as const, text: reasoning }]),
      ...(text === '' ? [] : [{ ...part, text }]),
    ];
  });
}

/**
 * Reports `<think>` blocks as reasoning. Many servers return the blocks of reasoning models as part of the answer.
 *
 * Only blocks at the start count, where such models write them, so that an answer can mention the tag;
 * `extractReasoningMiddleware` of the AI SDK uses every `<think>`. An unclosed block is reasoning. If the model
 * finished normally and wrote nothing else, the block is also the answer.
 */
export const separateReasoning = (): LanguageModelMiddleware => ({
  specificationVersion: 'v3',
  wrapGenerate: async ({ doGenerate }) => {
    const result = await doGenerate();
    return { ...result, content: separatedContent(result.content, result.finishReason.unified === 'stop') };
  },
  wrapStream: async ({ doStream }) => {
    const { stream, ...rest } = await doStream();
    return { ...rest, stream: stream.pipeThrough(separated()) };
  },
});
