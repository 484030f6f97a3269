using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tasks.Rewards;
using LowRank.Tokenizers;

namespace LowRank.Tasks;

/// <summary>How completions of many prompts are written.</summary>
public sealed record CompletionOptions
{
    /// <summary>Completions of each prompt. Default: 1.</summary>
    public int Count { get; init; } = 1;

    /// <summary>Prompts at a time; each has <see cref="Count"/> texts. Default: 8.</summary>
    public int BatchSize { get; init; } = 8;

    /// <summary>How tokens are chosen; the model's own stop tokens are added. With the same seed a text is the same,
    /// however many are written at a time.</summary>
    public GenerationOptions Generation { get; init; } = new();

    /// <summary>What judges the completions: "regex: PATTERN", "exact: FIELD", "model: FOLDER" or "program: COMMAND".
    /// Default: nothing.</summary>
    public IReadOnlyList<string> Rewards { get; init; } = [];

    /// <summary>The factor of each reward. Default: 1 each.</summary>
    public IReadOnlyList<double> RewardWeights { get; init; } = [];

    /// <summary>Whether only the best completion of each prompt is kept (rejection sampling). Default: false.</summary>
    public bool KeepsBest { get; init; }

    /// <summary>What the texts depend on besides the base and these options, such as an adapter's content: another
    /// value does not continue a file. Default: "".</summary>
    public string Identity { get; init; } = "";

    /// <summary>What is wrong with the values, one sentence each, without a full stop.</summary>
    public IEnumerable<string> Problems()
    {
        if (Count < 1) yield return $"the number of completions is {Count}, expected at least 1";
        if (BatchSize < 1) yield return $"the batch size is {BatchSize}, expected at least 1";
        if (Count > 1 && Generation.Temperature == 0)
            yield return $"{Count} completions of a prompt are the same at temperature 0; set a temperature above 0";
        foreach (string problem in Rewards.Select(RewardNames.Problem).OfType<string>()) yield return $"a " +
            $"reward {problem}";
        if (RewardWeights.Count > 0 && RewardWeights.Count != Rewards.Count)
            yield return $"there are {RewardWeights.Count} weights for {Rewards.Count} rewards; expected one for each";
        if (KeepsBest && Rewards.Count == 0) yield return "the best completion is kept, and no reward says which it is";
    }
}

/// <summary>Writes completions of many prompts into a file, in a way that can be killed and continued.</summary>
public static class Completions
{
    /// <summary>Writes a line for each completion: the row's own fields, <c>"completion"</c> (or the assistant's turn
    /// in
    /// <c>"messages"</c>), <c>"finish_reason"</c>, and with rewards <c>"score"</c> and <c>"scores"</c>. Such rows can
    /// be trained on.</summary>
    /// <param name="model">The model, with its adapters in use.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="source">Rows with prompts.</param>
    /// <param name="output">The file. While it is made, its lines are in <c>OUTPUT.part</c>, from which a later call
    /// continues.</param>
    /// <param name="options">How to write.</param>
    /// <param name="progress">Receives the prompts that are done, and all; null for nobody.</param>
    /// <param name="cancellation">Stops after the current token; what is written stays.</param>
    /// <returns>The number of lines, and notes for the user, one sentence each.</returns>
    /// <exception cref="InputException">Rows or options cannot be used, a reward fails, or the file was begun with
    /// other settings.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static (int Lines, IReadOnlyList<string> Notes) Write(
        PretrainedModel model, Tokenizer tokenizer, RowSource source, string output, CompletionOptions options,
        IProgress<(int Done, int Prompts)>? progress = null, CancellationToken cancellation = default)
    {
        if (options.Problems().ToArray() is { Length: > 0 } problems)
            throw new InputException("The completions cannot be written:", problems);
        var sampler = new CompletionSampler(model, tokenizer);
        List<Words> notes = [];
        List<SampledPrompt> prompts =
            RowReader.Read(source, row => new[] { sampler.Read(row) }, notes, foreign: true);
        using WeightedRewards? rewards = options.Rewards.Count == 0 ? null
            : new WeightedRewards([.. options.Rewards.Select(name => RewardNames.Open(name, model.Folder))],
                options.RewardWeights);
        using CompletionFile file = CompletionFile.Open(output, Settings(model, prompts, options));
        progress?.Report((file.Done, prompts.Count));
        while (file.Done < prompts.Count)
        {
            int first = file.Done;
            SampledPrompt[] some = [.. prompts.Skip(first).Take(options.BatchSize)];
            SampledCompletion[] texts =
                [.. sampler.Write(some, options.Count, options.Generation, first, cancellation)];
            IReadOnlyList<JudgedText>? judged = rewards?.Judge([.. texts.Select(text => text.Judged)]);
            for (int i = 0; i < some.Length; i++)
            {
                int[] own = [.. Enumerable.Range(i * options.Count, options.Count)];
                if (options.KeepsBest) own = [own.MaxBy(at => judged![at].Reward)];
                file.Add([.. own.Select(at => Line(texts[at], judged?[at], rewards))]);
            }
            progress?.Report((file.Done, prompts.Count));
        }
        return (file.Finish(), [.. notes.Select(note => note.ToString()), .. sampler.Notes]);
    }

    private static JsonObject Line(SampledCompletion text, JudgedText? judged, WeightedRewards? rewards)
    {
        var line = new JsonObject();
        foreach ((string key, JsonNode? value) in text.Prompt.Row.Fields)
            if (key is not ("completion" or "references" or "messages")) line[key] = value?.DeepClone();
        if (text.Prompt.IsConversation)
        {
            line.Remove("prompt");
            line["messages"] = new JsonArray([.. JsonNode.Parse(text.Prompt.Text)!.AsArray()
                .Select(turn => turn?.DeepClone()), Data.Chat.ChatFormats.Message("assistant", text.Text)]);
        }
        else
        {
            line["completion"] = text.Text;
        }
        line["finish_reason"] = text.Ended ? "stop" : "length";
        if (judged is null) return line;
        line["score"] = judged.Reward;
        line["scores"] = new JsonObject(
            rewards!.Names.Zip(judged.Each, (name, reward) => KeyValuePair.Create(name, (JsonNode?)reward)));
        return line;
    }

    private static JsonObject Settings(
        PretrainedModel model, List<SampledPrompt> prompts, CompletionOptions options)
    {
        GenerationOptions generation = options.Generation;
        return new JsonObject
        {
            ["base"] = model.Fingerprint,
            ["with"] = options.Identity,
            ["prompts"] = RowIdentity.Hash(string.Join('\0', prompts.Select(prompt
                => prompt.Row.Fields.ToJsonString())))
                .ToString("x32", System.Globalization.CultureInfo.InvariantCulture),
            ["n"] = options.Count,
            ["max_new_tokens"] = generation.MaxNewTokens, ["temperature"] = generation.Temperature,
            ["top_k"] = generation.TopK, ["top_p"] = generation.TopP, ["seed"] = generation.Seed,
            ["rewards"] = new JsonArray([.. options.Rewards.Select(name => (JsonNode?)name)]),
            ["reward_weights"] = new JsonArray([.. options.RewardWeights.Select(weight => (JsonNode?)weight)]),
            ["best"] = options.KeepsBest,
        };
    }
}
