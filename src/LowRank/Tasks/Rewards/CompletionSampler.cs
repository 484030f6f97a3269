using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Tasks.Rewards;

/// <summary>Writes several completions for each prompt of rows, many at a time, with the adapters that are attached to
/// the model.</summary>
/// <param name="model">The model.</param>
/// <param name="tokenizer">Its tokenizer, with the chat template for conversations.</param>
internal sealed class CompletionSampler(PretrainedModel model, Tokenizer tokenizer)
{
    private readonly TextGenerator generator = new(model.Decoder);
    private IChatFormat? format;
    private HashSet<int>? ends;

    /// <summary>Notes about texts that the model's context ended, one sentence each.</summary>
    public IReadOnlyList<string> Notes => generator.Notes;

    /// <summary>A row's prompt.</summary>
    /// <param name="row">A row with "prompt" or "messages" (<see cref="PromptRows"/>); "prompt" may be a list of
    /// messages too.</param>
    /// <exception cref="InputException">The row has no prompt, or the model has no chat template.</exception>
    public SampledPrompt Read(Row row)
    {
        Row plain = row.Fields["prompt"] is JsonArray turns && row.Fields["messages"] is null
            ? row with { Fields = new JsonObject { ["messages"] = turns.DeepClone() } } : row;
        string text = PromptRows.Prompt(plain);
        if (PromptRows.Conversation(plain) is not { } asked)
            return new SampledPrompt(row, text, NotEmpty(PromptEncoding.Prompt(tokenizer, text)));
        if (format is null)
        {
            format = ChatFormats.ForTalking(tokenizer);
            ends = null; // a reply ends with its turn too
        }
        return new SampledPrompt(row, text,
            ChatFormats.Prompt(format, tokenizer, asked, row.Fields["tools"] as JsonArray)) { IsConversation = true };
    }

    /// <summary>Writes completions, those of a prompt one after another.</summary>
    /// <param name="prompts">The prompts.</param>
    /// <param name="count">Completions of each.</param>
    /// <param name="options">How tokens are chosen; the model's own stop tokens are added.</param>
    /// <param name="first">The number of the first prompt: each text has its own random numbers, by its number and the
    /// seed.</param>
    /// <param name="cancellation">Stops after the current token.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public IReadOnlyList<SampledCompletion> Write(IReadOnlyList<SampledPrompt> prompts, int count,
        GenerationOptions options, int first = 0, CancellationToken cancellation = default)
    {
        HashSet<int> stops = [.. options.StopTokenIds, .. Ends()];
        int[][] begun = [.. prompts.SelectMany(prompt => Enumerable.Repeat(prompt.Ids, count))];
        // The token that ends a text is a part of it, which training learns.
        IReadOnlyList<IReadOnlyList<int>> texts = generator.GenerateUntil(
            begun, options with { StopTokenIds = [] }, (_, token) => stops.Contains(token), cancellation,
            checked(first * count));
        cancellation.ThrowIfCancellationRequested();
        return [.. texts.Select((ids, i) =>
        {
            bool ended = ids.Count > 0 && stops.Contains(ids[^1]);
            return new SampledCompletion(prompts[i / count], [.. ids],
                tokenizer.Decode([.. ended ? ids.SkipLast(1) : ids], skipSpecialTokens: true), ended);
        })];
    }

    private HashSet<int> Ends() => ends ??=
    [
        .. model.Generation.StopTokens(tokenizer),
        .. format is not null && ChatFormats.EndOfTurn(format, tokenizer) is { } turn ? [turn] : (int[])[],
    ];

    private int[] NotEmpty(int[] ids) => ids.Length > 0 ? ids : model.Generation.BosTokenId is { } begin ? [begin]
        : throw new InputException("\"prompt\" is empty, and the model has no token that begins a text.");
}

/// <summary>A row's prompt.</summary>
/// <param name="Row">The row.</param>
/// <param name="Text">The prompt; of a conversation its messages as JSON.</param>
/// <param name="Ids">Token ids; at least one.</param>
internal sealed record SampledPrompt(Row Row, string Text, int[] Ids)
{
    /// <summary>Whether the prompt is a conversation.</summary>
    public bool IsConversation { get; init; }
}

/// <summary>A completion that a model wrote.</summary>
/// <param name="Prompt">Its prompt.</param>
/// <param name="Ids">Token ids, with the one that ended it.</param>
/// <param name="Text">The text, without special tokens.</param>
/// <param name="Ended">Whether the model ended it, rather than its length.</param>
internal sealed record SampledCompletion(SampledPrompt Prompt, int[] Ids, string Text, bool Ended)
{
    /// <summary>The completion as rewards see it.</summary>
    public RewardedText Judged => new(Prompt.Text, Text, Prompt.Row.Fields);
}
